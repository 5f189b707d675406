#include "cache/thread_record.h"

#include <algorithm>

namespace varve::cache {
namespace {

std::atomic<ThreadRecord*> first{nullptr};
std::atomic<std::size_t> made_so_far{0};

ThreadRecord* take_record() {
  for (ThreadRecord* each = first.load(); each != nullptr; each = each->next) {
    bool taken = false;
    if (each->taken.compare_exchange_strong(taken, true)) return each;
  }
  auto* made = new ThreadRecord;
  made->lane = std::min(made_so_far.fetch_add(1), ThreadRecord::kLanes - 1);
  made->next = first.load();
  while (!first.compare_exchange_weak(made->next, made)) {
  }
  return made;
}

// Gives the record back when its thread ends.
struct Ending {
  ThreadRecord* record = take_record();
  ~Ending() {
    known_record = nullptr;
    record->taken.store(false);
  }
};

}  // namespace

constinit thread_local ThreadRecord* known_record = nullptr;

ThreadRecord& find_record() {
  thread_local bool has_ended = false;
  if (has_ended) {
    // Other destructors of the thread still use the cache: a record that nobody else gets any more.
    known_record = take_record();
    return *known_record;
  }
  thread_local const Ending ending;
  has_ended = true;
  known_record = ending.record;
  return *known_record;
}

ThreadRecord* first_thread_record() { return first.load(); }

}  // namespace varve::cache
