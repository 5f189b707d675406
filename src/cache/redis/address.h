// Where a server is and how to greet it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace varve::cache::redis {

struct Address {
  std::string unix_path;  // empty: host and port
  std::string host;
  std::uint16_t port = 6379;
  std::string user;
  std::string password;
  std::uint32_t db = 0;

  // For messages: without user and password.
  std::string name() const;
};

// `invalid`: names the field that is wrong, never the password.
Result<Address> parse_address(std::string_view url);

}  // namespace varve::cache::redis
