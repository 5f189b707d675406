#include "sim/counts.h"

namespace varve::sim {

void Counts::add(const Counts& other) {
  store::FaultCounts& mine = faults;
  const store::FaultCounts& theirs = other.faults;
  mine.delayed += theirs.delayed;
  mine.failed_before += theirs.failed_before;
  mine.lost_answers += theirs.lost_answers;
  mine.held_late += theirs.held_late;
  mine.landed_late += theirs.landed_late;
  mine.refused_late += theirs.refused_late;
  mine.partial_removes += theirs.partial_removes;
  mine.corrupted += theirs.corrupted;
  mine.truncated += theirs.truncated;
  crashes += other.crashes;
  owners_given_up += other.owners_given_up;
  acked_puts += other.acked_puts;
  acked_deletes += other.acked_deletes;
  unknown_writes += other.unknown_writes;
  imports += other.imports;
  folds += other.folds;
  compacts += other.compacts;
  queries += other.queries;
  gets += other.gets;
  lists += other.lists;
  failed_reads += other.failed_reads;
}

std::vector<std::pair<std::string, std::uint64_t>> Counts::rows() const {
  return {{"delayed", faults.delayed},
          {"failed before", faults.failed_before},
          {"lost answers", faults.lost_answers},
          {"held late", faults.held_late},
          {"landed late", faults.landed_late},
          {"refused late", faults.refused_late},
          {"partial removes", faults.partial_removes},
          {"corrupted reads", faults.corrupted},
          {"truncated reads", faults.truncated},
          {"crashes", crashes},
          {"owners given up", owners_given_up},
          {"acked puts", acked_puts},
          {"acked deletes", acked_deletes},
          {"unknown writes", unknown_writes},
          {"imports", imports},
          {"folds", folds},
          {"compacts", compacts},
          {"queries", queries},
          {"gets", gets},
          {"lists", lists},
          {"failed reads", failed_reads}};
}

}  // namespace varve::sim
