// A few short texts for `varve demo`, written for this project.
#pragma once

#include <vector>

#include "varve/text.h"

namespace varve::cli {

std::vector<text::Document> demo_texts();

}  // namespace varve::cli
