// Real vectors for tests and benches, from the folder that VARVE_DATA names.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "ann/test_data.h"

namespace varve::ann {

// The bytes of a .gz file below VARVE_DATA, or nothing if the variable is unset or there is none.
inline std::optional<std::string> read_gz(const std::string& name) {
  const char* folder = std::getenv("VARVE_DATA");
  if (folder == nullptr) return std::nullopt;
  const std::string command = "gzip -dc '" + std::string(folder) + "/" + name + "' 2>/dev/null";
  std::FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return std::nullopt;
  std::string bytes;
  std::vector<char> part(1 << 20);
  while (const std::size_t got = std::fread(part.data(), 1, part.size(), pipe)) {
    bytes.append(part.data(), got);
  }
  if (pclose(pipe) != 0) return std::nullopt;
  return bytes;
}

inline std::optional<Generated> read_idx(const std::string& name) {
  const auto bytes = read_gz(name);
  if (!bytes) return std::nullopt;
  Generated data{28 * 28, {}};
  for (std::size_t i = 16; i < bytes->size(); ++i) {
    data.values.push_back(static_cast<float>(static_cast<unsigned char>((*bytes)[i])));
  }
  return data;
}

// fvecs (4 bytes a value) and bvecs (1 byte): each vector has its dimension in front.
inline std::optional<Generated> read_vecs(const std::string& name, std::size_t value_bytes) {
  const auto bytes = read_gz(name);
  if (!bytes) return std::nullopt;
  Generated data;
  for (std::size_t at = 0; at < bytes->size();) {
    std::memcpy(&data.dim, bytes->data() + at, 4);
    at += 4;
    for (std::uint32_t j = 0; j < data.dim; ++j, at += value_bytes) {
      float value = static_cast<float>(static_cast<unsigned char>((*bytes)[at]));
      if (value_bytes == 4) std::memcpy(&value, bytes->data() + at, 4);
      data.values.push_back(value);
    }
  }
  return data;
}

// A word and its numbers a line.
inline std::optional<Generated> read_glove(const std::string& name) {
  const auto bytes = read_gz(name);
  if (!bytes) return std::nullopt;
  Generated data;
  std::istringstream lines(*bytes);
  std::string line;
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    std::string word;
    words >> word;
    data.dim = 0;
    for (float value = 0; words >> value; ++data.dim) data.values.push_back(value);
  }
  return data;
}

inline void normalize(Generated& data) {
  for (std::size_t i = 0; i < data.count(); ++i) {
    float* row = data.values.data() + i * data.dim;
    double sum = 0;
    for (std::uint32_t j = 0; j < data.dim; ++j) sum += static_cast<double>(row[j] * row[j]);
    const auto scale = static_cast<float>(1 / std::sqrt(sum));
    for (std::uint32_t j = 0; j < data.dim; ++j) row[j] *= scale;
  }
}

}  // namespace varve::ann
