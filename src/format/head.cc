#include "format/head.h"

#include <fmt/format.h>

#include "base/assert.h"
#include "format/coding.h"

namespace varve::format {
namespace {

constexpr std::size_t kObjectBytesMax = 4096;
constexpr std::size_t kOwnerBytesMax = 128;
// Keeps a full HEAD below kObjectBytesMax.
constexpr std::size_t kRefBytesMax = 128;
constexpr std::size_t kNonceBytes = 16;
constexpr std::size_t kJobBytesMin = 35;
constexpr std::size_t kRetiredBytesMin = 18;

void write_job(Writer& writer, const Job& job) {
  VARVE_ASSERT(job.owner.size() <= kOwnerBytesMax);
  writer.u64(job.id);
  writer.u8(static_cast<std::uint8_t>(job.kind));
  writer.u64(job.epoch);
  writer.u64(job.base_version);
  writer.i64(job.started_ms);
  writer.text(job.owner);
}

Job read_job(Reader& reader) {
  Job job;
  job.id = reader.u64("job id");
  job.kind = static_cast<JobKind>(reader.choice(1, 3, "job kind"));
  job.epoch = reader.u64("job epoch");
  job.base_version = reader.u64("job base version");
  job.started_ms = reader.i64("job start");
  job.owner = std::string(reader.text(kOwnerBytesMax, "job owner"));
  return job;
}

std::size_t limited_count(Reader& reader, std::size_t bytes_min, std::size_t max,
                          std::string_view field) {
  const std::size_t n = reader.count(bytes_min, field);
  if (n > max) reader.fail(field, fmt::format("{} is more than {}", n, max));
  return reader.ok() ? n : 0;
}

}  // namespace

base::Bytes encode_head(const Head& head, const Uuid& index, std::string_view name) {
  VARVE_ASSERT(head.parents.size() <= kParentsMax);
  VARVE_ASSERT(head.jobs.size() <= kJobsMax);
  VARVE_ASSERT(head.retired.size() <= kRetiredMax);
  VARVE_ASSERT(head.manifest_name.size() <= kRefBytesMax);
  Writer writer(name, kObjectBytesMax);
  writer.u8(static_cast<std::uint8_t>(head.state));
  writer.zeros(7);
  writer.u64(head.version);
  writer.u64(head.epoch);
  writer.nonce(head.owner);
  writer.u64(head.fold.epoch);
  writer.u64(head.fold.seq);
  writer.u64(head.next_job);
  writer.u64(head.manifest_bytes);
  writer.bytes(head.manifest_sha256);
  writer.text(head.manifest_name);
  writer.u32(static_cast<std::uint32_t>(head.parents.size()));
  for (const base::Nonce& parent : head.parents) writer.nonce(parent);
  writer.u32(static_cast<std::uint32_t>(head.jobs.size()));
  for (const Job& job : head.jobs) write_job(writer, job);
  writer.u32(static_cast<std::uint32_t>(head.retired.size()));
  for (const RetiredRef& retired : head.retired) {
    VARVE_ASSERT(retired.list_name.size() <= kRefBytesMax);
    writer.u64(retired.at_version);
    writer.i64(retired.at_ms);
    writer.text(retired.list_name);
  }
  VARVE_ASSERT(writer.size() <= kObjectBytesMax);
  return writer.seal(Identity{Kind::head, index, std::string(name), head.nonce});
}

Result<Head> decode_head(const base::Bytes& object, const Uuid& index, std::string_view name) {
  const std::string context = fmt::format("object {}", name);
  if (object.size() > kObjectBytesMax) {
    return fail(ErrorKind::corrupt, fmt::format("{}: larger than {}", context, kObjectBytesMax));
  }
  VARVE_TRY(const Envelope envelope, decode_envelope(object, Kind::head, index, name));
  Reader reader(envelope.body, context);
  Head head;
  head.nonce = envelope.identity.nonce;
  head.state = static_cast<IndexState>(reader.choice(1, 3, "state"));
  reader.zeros(7, "reserved");
  head.version = reader.u64("version");
  head.epoch = reader.u64("epoch");
  head.owner = reader.nonce("owner");
  head.fold.epoch = reader.u64("fold epoch");
  head.fold.seq = reader.u64("fold seq");
  head.next_job = reader.u64("next job");
  head.manifest_bytes = reader.u64("manifest length");
  const base::ByteSpan sha256 = reader.bytes(head.manifest_sha256.size(), "manifest sha256");
  std::copy(sha256.begin(), sha256.end(), head.manifest_sha256.begin());
  head.manifest_name = std::string(reader.text(kRefBytesMax, "manifest name"));
  const std::size_t parents = limited_count(reader, kNonceBytes, kParentsMax, "parents");
  for (std::size_t i = 0; i < parents; ++i) head.parents.push_back(reader.nonce("parent"));
  const std::size_t jobs = limited_count(reader, kJobBytesMin, kJobsMax, "jobs");
  for (std::size_t i = 0; i < jobs && reader.ok(); ++i) head.jobs.push_back(read_job(reader));
  const std::size_t retired = limited_count(reader, kRetiredBytesMin, kRetiredMax, "retired");
  for (std::size_t i = 0; i < retired && reader.ok(); ++i) {
    RetiredRef ref;
    ref.at_version = reader.u64("retired version");
    ref.at_ms = reader.i64("retired time");
    ref.list_name = std::string(reader.text(kRefBytesMax, "retired list"));
    head.retired.push_back(std::move(ref));
  }
  VARVE_CHECK(reader.finish());
  return head;
}

}  // namespace varve::format
