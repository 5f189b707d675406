// A database on parts that are handed in: for tests, simulation, and Database::open.
#pragma once

#include <memory>

#include "engine/env.h"
#include "varve/database.h"

namespace varve::engine {

// What `env` points to must outlive the database, its indexes and their snapshots, unless
// `env.owned` keeps it.
std::unique_ptr<Database> make_database(Env env);

}  // namespace varve::engine
