// Leave to remove what cannot be brought back.
#pragma once

#include <string>

#include "cli/settings.h"

namespace varve::cli {

// On a terminal asks; elsewhere only --yes counts. `invalid`: it must stay.
Status confirm_removal(const Settings& settings, const std::string& index);

}  // namespace varve::cli
