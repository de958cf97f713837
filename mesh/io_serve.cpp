// io_serve.cpp: how ready connections are read and written, a few pieces each in turn. Part of IoThread
// (io_thread.hpp).
#include "mesh/io_thread.hpp"

#include <utility>

namespace regroup::mesh {

void IoThread::list(const std::shared_ptr<Connection>& connection) {
  if (connection->listed) return;
  connection->listed = true;
  (connection->lane == Lane::kControl ? ready_control_ : ready_bulk_).push_back(connection);
}

void IoThread::serve(std::vector<std::shared_ptr<Connection>>& ready, int most_reads, int most_writes) {
  const auto batch = std::exchange(ready, {});
  for (const auto& connection : batch) {
    connection->listed = false;
    if (connection->link->at(connection->lane) != connection) continue;
    if (serve_one(connection, most_reads, most_writes)) list(connection);
  }
}

bool IoThread::serve_one(const std::shared_ptr<Connection>& connection, int most_reads, int most_writes) {
  bool more = false;
  if (connection->readable) {
    if (!read_from(connection, most_reads)) return false;
    more = connection->readable && !connection->paused;
  }
  Outbox::Write result = Outbox::Write::kMore;
  for (int i = 0; i < most_writes && result == Outbox::Write::kMore; ++i)
    result = connection->write_some(options_.piece_bytes);
  if (result == Outbox::Write::kBroken) {
    connection->readable = connection->hung_up = true;  // reading finds the end, after what still lies there
    return true;
  }
  return more || result == Outbox::Write::kMore;
}

// False when the connection is gone.
bool IoThread::read_from(const std::shared_ptr<Connection>& connection, int most_reads) {
  for (int i = 0; i < most_reads; ++i) {
    std::size_t bytes = 0;
    const Connection::Read result = connection->read_some(scratch_, bytes);
    if (bytes > 0) heard(*connection);
    take_beat(*connection);
    if (!take_answers(*connection)) {
      ++state_.counters.refused;
      on_broken(connection, "answered an offer that was not made");
      return false;
    }
    switch (result) {
      case Connection::Read::kMore:
        break;
      case Connection::Read::kDrained:
        connection->readable = false;
        return true;
      case Connection::Read::kPaused:
        paused_.push_back(connection);
        return true;
      case Connection::Read::kEof:
        on_broken(connection, "the connection was closed");
        return false;
      case Connection::Read::kBadFrame:
        ++state_.counters.refused;
        on_broken(connection, "sent a malformed or oversize frame");
        return false;
    }
  }
  return true;
}

// Whoever was left unread may find room now, or its message a receive.
void IoThread::resume() {
  const auto paused = std::exchange(paused_, {});
  state_.unmatched.look_again();
  for (const auto& connection : paused) {
    if (connection->link->at(connection->lane) == connection) list(connection);
  }
}

bool IoThread::take_answers(Connection& connection) {
  const int answers = connection.take_answers();
  if (answers == 0) return true;
  const auto& bulk = connection.link->at(Lane::kBulk);
  if (!bulk || !bulk->taken(answers)) return false;
  list(bulk);
  return true;
}

void IoThread::heard(const Connection& connection) {
  const auto& link = connection.link;
  const bool was_silent = link->pulse.silent();
  if (was_silent && connection.lane == Lane::kBulk) return;  // may lie there since before, while the lane was paused
  link->pulse.heard(running_);
  if (was_silent) report_connected(link);
}

void IoThread::take_beat(Connection& connection) {
  if (const auto beat = connection.take_beat()) connection.link->pulse.beat(running_, beat->tag, beat->total != 0);
}

}  // namespace regroup::mesh
