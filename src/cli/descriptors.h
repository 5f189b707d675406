// Standard input, output and error of the process.
#pragma once

namespace varve::cli {

// Puts /dev/null where a parent left one of them closed. Else the next file that is opened becomes
// it, and what is meant for the terminal is written into that file. To be called before anything is
// opened.
void open_missing_descriptors();

}  // namespace varve::cli
