#include "cli/app.h"

int main(int argc, char** argv) { return varve::cli::run(argc, argv); }
