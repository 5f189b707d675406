// The built-in embedder: signed feature hashing, no model, no file, no network.
//
// Features of a text, in lower case: stems of its words without the commonest English ones, pairs
// of neighbouring stems, and pieces of 3 to 5 characters of each word with its ends marked. A
// feature that occurs n times weighs (1 + ln n) times the weight of its kind, adds that to one
// coordinate or takes it away, as its hash says (Weinberger et al., "Feature hashing for large
// scale multitask learning", ICML 2009), and the sum is scaled to length 1. The same text gives
// the same bits everywhere but for the last rounding of `log`.
//
// Cranfield (1,400 abstracts, 225 questions): nDCG@10 0.41 with 384 dimensions,
// 0.46 with 1,024, 0.48 with 4,096.
#pragma once

#include "varve/text.h"

namespace varve::text {

// The features count from 1 byte to the next: a change here changes every vector, and chunks that
// were embedded before no longer match questions asked after. Part of the hash of a file.
inline constexpr int kHashEmbedderRevision = 1;

// REQUIRES: 32 <= dim <= kDimMax.
std::unique_ptr<Embedder> make_hash_embedder(std::uint32_t dim);

}  // namespace varve::text
