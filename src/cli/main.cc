#include "cli/app.h"
#include "cli/descriptors.h"

int main(int argc, char** argv) {
  varve::cli::open_missing_descriptors();
  return varve::cli::run(argc, argv);
}
