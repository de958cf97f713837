// A reader that finds no room, and a poster that makes some, in every order in which their steps can fall.
#include "mesh/unmatched.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <functional>
#include <utility>
#include <vector>

namespace regroup::mesh::test {
namespace {

// Answers choose() with one sequence after the other until all were had.
class Choices {
 public:
  bool choose() {
    if (at_ == taken_.size()) taken_.push_back(false);
    return taken_[at_++];
  }
  bool next() {
    at_ = 0;
    while (!taken_.empty() && taken_.back()) taken_.pop_back();
    if (taken_.empty()) return false;
    return taken_.back() = true;
  }

 private:
  std::vector<bool> taken_;
  std::size_t at_ = 0;
};

// The reader is about to do what the poster can see.
std::function<void()> reader_steps;

template <class T>
class Stepped {
 public:
  explicit Stepped(T value) : value_(value) {}
  operator T() const { return step(), value_; }
  T operator=(T value) { return step(), value_ = value; }
  T operator+=(T more) { return step(), value_ += more; }
  T operator-=(T less) { return step(), value_ -= less; }

 private:
  static void step() {
    if (reader_steps) reader_steps();
  }
  T value_;
};

constexpr std::size_t kMost = 10, kMessage = 6;

// What the two threads share, beside the room: one message that comes, and the receives that are posted.
template <class Room>
class World {
 public:
  explicit World(Choices& choices) : choices_(choices) {}

  void kept_already(std::size_t bytes) { room.keep(bytes); }
  // A receive of another message, which is kept: SocketMesh::post.
  void poster_takes_another(std::size_t bytes) {
    posts([this, bytes] { room.release(bytes); }, false);
  }
  // A receive of the message that comes; it goes on under the lock that Arrivals::begin_piece holds as well.
  void poster_takes_this() {
    posts([this] { posted_ = true; }, true);
  }

  // False: the message is never read.
  bool reader_ends() {
    reader_steps = [this] { let_poster_step(); };
    const bool ends = read();
    reader_steps = nullptr;
    return ends;
  }

  Room room{kMost};

 private:
  struct Step {
    std::function<void()> run;
    bool locks;
  };

  void posts(std::function<void()> what, bool locks) {
    poster_.push_back({std::move(what), locks});
    poster_.push_back({[this] { resumes_ += room.lacks_room(); }, false});
  }

  void run_poster() {
    auto steps = std::exchange(reader_steps, nullptr);
    poster_[poster_at_++].run();
    reader_steps = std::move(steps);
  }

  void let_poster_step() {
    while (poster_at_ < poster_.size() && !(locked_ && poster_[poster_at_].locks) && choices_.choose()) run_poster();
  }

  bool begin_piece() {
    let_poster_step();
    locked_ = true;
    const bool goes_on = posted_ || room.keep(kMessage);
    locked_ = false;
    if constexpr (requires { room.left_unread(); }) {
      if (!goes_on) room.left_unread();
    }
    return goes_on;
  }

  bool read() {
    while (!begin_piece()) {
      for (let_poster_step(); resumes_ == 0; run_poster()) {
        if (poster_at_ == poster_.size()) return false;
      }
      resumes_ = 0;
      room.look_again();
    }
    return true;
  }

  Choices& choices_;
  std::vector<Step> poster_;
  std::size_t poster_at_ = 0;
  int resumes_ = 0;  // commands for the I/O thread
  bool locked_ = false, posted_ = false;
};

struct Outcome {
  int orders = 0, stuck = 0;
};

template <class Room>
Outcome try_all_orders(const std::function<void(World<Room>&)>& prepare) {
  Outcome outcome;
  Choices choices;
  do {
    World<Room> world(choices);
    prepare(world);
    ++outcome.orders;
    outcome.stuck += !world.reader_ends();
  } while (choices.next());
  std::printf("%d orders, %d of them never end\n", outcome.orders, outcome.stuck);
  return outcome;
}

template <class Room>
Outcome this_message_is_taken() {
  return try_all_orders<Room>([](World<Room>& world) {
    world.kept_already(kMost);
    world.poster_takes_this();
  });
}

template <class Room>
Outcome another_is_taken() {
  return try_all_orders<Room>([](World<Room>& world) {
    world.kept_already(kMost);
    world.poster_takes_another(kMost);
  });
}

// The first of these makes too little room: the reader goes to sleep again.
template <class Room>
Outcome several_are_taken() {
  return try_all_orders<Room>([](World<Room>& world) {
    world.kept_already(kMost);
    world.poster_takes_another(3);
    world.poster_takes_another(2);
    world.poster_takes_this();
    world.poster_takes_another(5);
  });
}

using Real = UnmatchedRoom<Stepped>;

TEST(Unmatched, a_reader_without_room_is_woken_in_every_order) {
  for (const Outcome& outcome : {this_message_is_taken<Real>(), another_is_taken<Real>(), several_are_taken<Real>()}) {
    EXPECT_EQ(outcome.stuck, 0);
    EXPECT_GE(outcome.orders, 5);
  }
}

// What is tried above must be able to fail.
class SpeaksAfterwards {
 public:
  explicit SpeaksAfterwards(std::size_t most) : most_(most) {}
  bool keep(std::size_t bytes) {
    if (bytes_ + bytes > most_) return false;
    bytes_ += bytes;
    return true;
  }
  void left_unread() { lacks_room_ = true; }
  void look_again() { lacks_room_ = false; }
  void release(std::size_t bytes) { bytes_ -= bytes; }
  [[nodiscard]] bool lacks_room() const { return lacks_room_; }

 private:
  const std::size_t most_;
  Stepped<std::size_t> bytes_{0};
  Stepped<bool> lacks_room_{false};
};

TEST(Unmatched, a_reader_that_speaks_only_after_it_has_looked_sleeps_for_ever_in_some) {
  EXPECT_GT(this_message_is_taken<SpeaksAfterwards>().stuck, 0);
  EXPECT_GT(another_is_taken<SpeaksAfterwards>().stuck, 0);
  EXPECT_GT(several_are_taken<SpeaksAfterwards>().stuck, 0);
}

TEST(Unmatched, room_is_what_was_given_and_what_comes_anyhow_counts) {
  Unmatched room(kMost);
  EXPECT_TRUE(room.keep(kMost));
  EXPECT_FALSE(room.lacks_room());
  room.keep_anyhow(5);
  room.release(kMost);
  EXPECT_FALSE(room.keep(6));
  EXPECT_TRUE(room.lacks_room());
  EXPECT_TRUE(room.keep(5));
  room.look_again();
  EXPECT_FALSE(room.lacks_room());
}

}  // namespace
}  // namespace regroup::mesh::test
