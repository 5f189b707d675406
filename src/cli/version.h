// The release, as CMakeLists.txt has it.
#pragma once

#ifndef VARVE_VERSION
#define VARVE_VERSION "0.1.0"
#endif
