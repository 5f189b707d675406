// One function a policy; policy.cc knows their names.
#pragma once

#include <cstdint>
#include <memory>

#include "varve/cache/policy.h"

namespace varve::cache {

std::unique_ptr<EvictionPolicy> make_fifo();
std::unique_ptr<EvictionPolicy> make_lru();
// Frequency as a logarithmic counter that decays with time (the scheme of Redis).
std::unique_ptr<EvictionPolicy> make_lfu(std::uint64_t seed);
// Zhang et al., NSDI 2024: a FIFO queue with a hand that spares entries hit since it passed.
std::unique_ptr<EvictionPolicy> make_sieve();
// Yang et al., SOSP 2023: a small queue for newcomers, a main queue, hashes of the rejected.
std::unique_ptr<EvictionPolicy> make_s3_fifo();
// Einziger et al., ACM TOS 2017, with the window moved by hill climbing (Middleware 2018).
std::unique_ptr<EvictionPolicy> make_w_tinylfu();

}  // namespace varve::cache
