// Builds the levels over centroids: groups around sampled nodes, then what a walk may skip.
#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "ann/centroid_levels.h"
#include "base/pool.h"
#include "base/random.h"
#include "kernels/distance.h"

namespace varve::ann {
namespace {

using kernels::kSignBlockRows;
using Groups = std::vector<std::vector<std::uint32_t>>;

// One block of codes: smaller groups do not scan faster, larger ones hold more that is far.
constexpr std::size_t kFanout = 32;
constexpr std::size_t kRootChildrenMax = 1024;
// Up to here, members are compared with all nodes of a level.
constexpr std::size_t kDirectNodesMax = 512;
constexpr std::size_t kNearGroups = 4;

constexpr std::array<std::size_t, 4> kCounts = {4, 16, 64, 256};
constexpr std::size_t kQueries = 96;
// Of the nodes that hold a neighbour, those that a walk may open. Above the lowest level a miss
// costs more and an open node nearly nothing.
constexpr double kFoundLowest = 0.99, kFoundAbove = 0.9995;
// Of the codes: a walk that scans more is slower than a scan of all.
constexpr double kShareMax = 0.6;

// One of each of `wanted` equal pieces.
std::vector<std::uint32_t> spread_sample(std::size_t count, std::size_t wanted,
                                         base::Random& random) {
  std::vector<std::uint32_t> sample;
  for (std::size_t i = 0; i < wanted; ++i) {
    const std::size_t first = i * count / wanted, end = (i + 1) * count / wanted;
    sample.push_back(static_cast<std::uint32_t>(first + random.below(end - first)));
  }
  return sample;
}

std::vector<float> gather(const float* values, std::uint32_t dim,
                          std::span<const std::uint32_t> indexes) {
  std::vector<float> out(indexes.size() * dim);
  for (std::size_t i = 0; i < indexes.size(); ++i) {
    std::copy_n(values + std::size_t{indexes[i]} * dim, dim, out.data() + i * dim);
  }
  return out;
}

Groups groups_of(std::span<const std::uint32_t> nearest, std::size_t count) {
  Groups groups(count);
  for (std::size_t i = 0; i < nearest.size(); ++i) {
    groups[nearest[i]].push_back(static_cast<std::uint32_t>(i));
  }
  return groups;
}

// The nearest of `nodes` to each row, or nearly so if they are many: of those around the nearest
// of fewer points.
std::vector<std::uint32_t> assign(kernels::MatrixView rows, const std::vector<float>& nodes,
                                  std::uint32_t dim) {
  const auto pool = base::make_inline_pool();
  const std::size_t count = nodes.size() / dim;
  std::vector<std::uint32_t> nearest(rows.count);
  if (count <= kDirectNodesMax) {
    CentroidSet(nodes, dim).assign(rows, nearest, {}, *pool);
    return nearest;
  }
  const auto points = static_cast<std::size_t>(2 * std::sqrt(static_cast<double>(count)));
  base::Random random(count);
  const CentroidSet around(gather(nodes.data(), dim, spread_sample(count, points, random)), dim);
  std::vector<std::uint32_t> of_nodes(count);
  around.assign({nodes.data(), count, dim}, of_nodes, {}, *pool);
  const Groups node_groups = groups_of(of_nodes, points);
  around.assign(rows, nearest, {}, *pool);
  const Groups row_groups = groups_of(nearest, points);
  std::vector<CentroidSet::Ranked> near;
  std::vector<std::uint32_t> offered, found;
  for (std::size_t g = 0; g < points; ++g) {
    const auto& group = row_groups[g];
    if (group.empty()) continue;
    offered.clear();
    around.rank(around.centroid(g).data(), kNearGroups, near);
    for (const auto& one : near) {
      offered.insert(offered.end(), node_groups[one.index].begin(), node_groups[one.index].end());
    }
    // Equal points are ranked by index, and only the first has nodes: it is among the near.
    const CentroidSet candidates(gather(nodes.data(), dim, offered), dim);
    const auto members = gather(rows.data, dim, group);
    found.resize(group.size());
    candidates.assign({members.data(), group.size(), dim}, found, {}, *pool);
    for (std::size_t i = 0; i < group.size(); ++i) nearest[group[i]] = offered[found[i]];
  }
  return nearest;
}

}  // namespace

class LevelBuilder {
 public:
  LevelBuilder(const CentroidSet& centroids, const kernels::Rotation& rotation,
               CentroidLevels& made)
      : centroids_(centroids), rotation_(rotation), made_(made), dim_(centroids.dim()) {
    made_.dim_ = dim_;
    made_.centroids_ = &centroids;
    made_.block_bytes_ = kernels::sign_block_bytes(rotation.padded_dim());
  }

  void build() {
    std::size_t first = 0, count = centroids_.size();
    std::uint32_t level = 1;
    for (; count > kRootChildrenMax; ++level) {
      const std::size_t before = made_.nodes_.size();
      add_level(level, first, count);
      first = before;
      count = made_.nodes_.size() - before;
    }
    std::vector<std::uint32_t> all(count);
    std::iota(all.begin(), all.end(), 0);
    add_node(level, first, all);
    encode();
  }

  // Learns from the nearest of queries. Of four one lies between any two centroids, one between two
  // of one group, and two are centroids that do not count themselves.
  void learn(const CentroidLevels::Rank& rank) {
    find_parents();
    const std::size_t levels = made_.nodes_.back().level;
    base::Random random(centroids_.size());
    std::vector<float> queries(kQueries * dim_);
    std::vector<std::vector<std::vector<float>>> needed(kCounts.size(),
                                                        std::vector<std::vector<float>>(levels));
    std::vector<CentroidSet::Ranked> near;
    for (std::size_t q = 0; q < kQueries; ++q) {
      float* const query = queries.data() + q * dim_;
      const std::size_t self = make_query(q % 4, random, query);
      rank(query, kCounts.back() + 1, near);
      std::erase_if(near, [&](const auto& one) { return one.index == self; });
      for (std::size_t c = 0; c < kCounts.size(); ++c) {
        add_needed(query, {near.data(), std::min(kCounts[c], near.size())}, needed[c]);
      }
    }
    for (std::size_t c = 0; c < kCounts.size(); ++c) {
      CentroidLevels::Reach reach{kCounts[c], false, {0.0F}};
      for (std::size_t level = 1; level < levels; ++level) {
        auto& all = needed[c][level];
        const double found = level == 1 ? kFoundLowest : kFoundAbove;
        const auto at = static_cast<std::ptrdiff_t>(found * static_cast<double>(all.size() - 1));
        std::nth_element(all.begin(), all.begin() + at, all.end());
        reach.margins.push_back(std::max(all[static_cast<std::size_t>(at)], 0.0F));
      }
      reach.margins.push_back(0);  // the root is always opened
      made_.reaches_.push_back(std::move(reach));
    }
    for (auto& reach : made_.reaches_) reach.is_far = share_of(reach.count, queries) > kShareMax;
  }

 private:
  const float* child_values(std::uint32_t level, std::size_t child) const {
    return level == 1 ? centroids_.centroid(child).data() : made_.values_.data() + child * dim_;
  }

  // `first`: the number of the first of the `count` children, which are one after another.
  void add_level(std::uint32_t level, std::size_t first, std::size_t count) {
    base::Random random(level);
    const float* values = child_values(level, first);
    const std::size_t wanted = count / kFanout;
    const auto sample = gather(values, dim_, spread_sample(count, wanted, random));
    const Groups groups = groups_of(assign({values, count, dim_}, sample, dim_), wanted);
    for (const auto& group : groups) {
      if (!group.empty()) add_node(level, first, group);
    }
  }

  // The node lies in the middle of its children.
  void add_node(std::uint32_t level, std::size_t first, std::span<const std::uint32_t> group) {
    std::vector<float> sums(dim_), middle(dim_);
    for (const auto i : group) {
      kernels::add_to(child_values(level, first + i), dim_, sums.data());
    }
    for (std::uint32_t j = 0; j < dim_; ++j) {
      middle[j] = sums[j] / static_cast<float>(group.size());
    }
    CentroidLevels::Node node;
    node.level = level;
    node.first_child = static_cast<std::uint32_t>(made_.children_.size());
    node.children = static_cast<std::uint32_t>(group.size());
    double spread = 0;
    for (const auto i : group) {
      spread += static_cast<double>(
          kernels::squared_l2_one(middle.data(), child_values(level, first + i), dim_));
      if (level > 1) spread += static_cast<double>(made_.nodes_[first + i].spread);
      made_.children_.push_back(static_cast<std::uint32_t>(first + i));
    }
    node.spread = static_cast<float>(spread / static_cast<double>(group.size()));
    node.radius = std::sqrt(node.spread);
    made_.nodes_.push_back(node);
    made_.values_.insert(made_.values_.end(), middle.begin(), middle.end());
  }

  void encode() {
    std::size_t blocks = 0;
    for (auto& node : made_.nodes_) {
      node.first_block = static_cast<std::uint32_t>(blocks);
      blocks += (node.children + kSignBlockRows - 1) / kSignBlockRows;
    }
    made_.blocks_ = base::Buffer(blocks * made_.block_bytes_);
    std::fill_n(made_.blocks_.data(), made_.blocks_.size(), std::byte{0});
    const std::uint32_t padded_dim = rotation_.padded_dim();
    std::vector<float> difference(dim_), rotated, rotated_node(padded_dim);
    for (std::size_t n = 0; n < made_.nodes_.size(); ++n) {
      const auto& node = made_.nodes_[n];
      const float* const middle = made_.values_.data() + n * dim_;
      rotation_.apply(middle, rotated_node.data());
      rotated.resize(std::size_t{node.children} * padded_dim);
      for (std::size_t i = 0; i < node.children; ++i) {
        const float* child = child_values(node.level, made_.children_[node.first_child + i]);
        for (std::uint32_t j = 0; j < dim_; ++j) difference[j] = child[j] - middle[j];
        rotation_.apply(difference.data(), rotated.data() + i * padded_dim);
      }
      kernels::encode_sign_rows(rotated.data(), node.children, rotated_node.data(), padded_dim,
                                made_.blocks_.data() + node.first_block * made_.block_bytes_);
    }
  }

  void find_parents() {
    parent_of_centroid_.resize(centroids_.size());
    parent_of_node_.resize(made_.nodes_.size());
    for (std::size_t n = 0; n < made_.nodes_.size(); ++n) {
      const auto& node = made_.nodes_[n];
      auto& parents = node.level == 1 ? parent_of_centroid_ : parent_of_node_;
      for (std::size_t i = 0; i < node.children; ++i) {
        parents[made_.children_[node.first_child + i]] = static_cast<std::uint32_t>(n);
      }
    }
  }

  // The number of the centroid that the query is, if it is one.
  std::size_t make_query(std::size_t kind, base::Random& random, float* query) const {
    const std::size_t one = random.below(centroids_.size());
    std::size_t other = one;
    if (kind == 0) {
      other = random.below(centroids_.size());
    } else if (kind == 1) {
      const auto& node = made_.nodes_[parent_of_centroid_[one]];
      other = made_.children_[node.first_child + random.below(node.children)];
    }
    for (std::uint32_t j = 0; j < dim_; ++j) {
      query[j] = (centroids_.centroid(one)[j] + centroids_.centroid(other)[j]) / 2;
    }
    return kind > 1 ? one : centroids_.size();
  }

  // For each level the margins with which the nodes above `near` are within its last distance.
  void add_needed(const float* query, std::span<const CentroidSet::Ranked> near,
                  std::vector<std::vector<float>>& needed) const {
    const std::size_t root = made_.nodes_.size() - 1;
    for (const auto& one : near) {
      for (std::size_t n = parent_of_centroid_[one.index]; n != root; n = parent_of_node_[n]) {
        const auto& node = made_.nodes_[n];
        const float distance =
            kernels::squared_l2_one(query, made_.values_.data() + n * dim_, dim_);
        const float margin = (distance + node.spread - near.back().distance) /
                             (2 * node.radius * std::sqrt(distance));
        needed[node.level].push_back(std::isfinite(margin) ? margin : 0);
      }
    }
  }

  // Of the codes, scanned on average by some of the queries.
  double share_of(std::size_t count, const std::vector<float>& queries) const {
    LevelScratch scratch;
    kernels::SignTable table;
    std::vector<float> rotated(rotation_.padded_dim());
    const auto nprobe = static_cast<std::uint32_t>(count);
    std::size_t scanned = 0, asked = 0;
    for (std::size_t q = 0; q < kQueries; q += 3, ++asked) {
      const float* const query = queries.data() + q * dim_;
      rotation_.apply(query, rotated.data());
      table.set(rotated.data(), rotation_.padded_dim());
      (void)made_.walk(query, table, {nprobe, nprobe, 0}, scratch);
      scanned += scratch.codes_scanned;
    }
    return static_cast<double>(scanned) / static_cast<double>(asked * centroids_.size());
  }

  const CentroidSet& centroids_;
  const kernels::Rotation& rotation_;
  CentroidLevels& made_;
  const std::uint32_t dim_;
  std::vector<std::uint32_t> parent_of_centroid_, parent_of_node_;
};

CentroidLevels::CentroidLevels(const CentroidSet& centroids, const kernels::Rotation& rotation,
                               const Rank& rank) {
  LevelBuilder builder(centroids, rotation, *this);
  builder.build();
  builder.learn(rank);
}

}  // namespace varve::ann
