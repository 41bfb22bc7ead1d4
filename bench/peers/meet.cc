// SPDX-License-Identifier: MIT

// What bench/core.c and bench/meet.c measure, by boost.fiber on one thread:
// meet yield N | spawn | chan | mutex | ring N.  It has no select, and its
// timeouts are only its own waits'.  Processor time, the median of the
// batches, one case a process.

#include <boost/fiber/all.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace fibers = boost::fibers;

constexpr int batches = 9;
constexpr int meetings = 200000;
constexpr int spawns = 100000;
constexpr int switches = 1000000;

static double
cpu()
{
    timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e9 +
           static_cast<double>(now.tv_nsec);
}

// Calls f once to warm up and then once a batch; prints ns for each of n.
template <typename F>
static void
measure(const std::string &name, int n, F f)
{
    double ns[batches];

    f();
    for (double &one : ns) {
        double began = cpu();
        f();
        one = (cpu() - began) / n;
    }
    std::sort(ns, ns + batches);
    std::printf("{\"library\": \"boost.fiber\", \"case\": \"%s\", "
                "\"ns\": %.2f}\n",
                name.c_str(), ns[batches / 2]);
}

static void
yield(int n)
{
    bool stop = false;
    int turns = switches / n;
    std::vector<fibers::fiber> others;

    for (int i = 1; i < n; i++) {
        others.emplace_back([&stop] {
            while (!stop) {
                boost::this_fiber::yield();
            }
        });
    }
    measure("yield " + std::to_string(n), turns * n, [turns] {
        for (int i = 0; i < turns; i++) {
            boost::this_fiber::yield();
        }
    });
    stop = true;
    for (auto &other : others) {
        other.join();
    }
}

static void
spawn(int)
{
    measure("spawn", spawns, [] {
        for (int i = 0; i < spawns; i++) {
            fibers::fiber([] {}).join();
        }
    });
}

static void
channels(int)
{
    fibers::unbuffered_channel<std::uint64_t> there;
    fibers::unbuffered_channel<std::uint64_t> back;
    fibers::fiber other([&] {
        for (auto value : there) {
            back.push(value);
        }
    });

    measure("chan", meetings, [&] {
        for (std::uint64_t i = 0; i < meetings; i++) {
            there.push(i);
            back.value_pop();
        }
    });
    there.close();
    other.join();
}

static void
mutex(int)
{
    fibers::mutex lock;
    bool stop = false;
    auto once = [&lock] {
        lock.lock();
        boost::this_fiber::yield();
        lock.unlock();
    };
    fibers::fiber other([&] {
        while (!stop) {
            once();
        }
    });

    measure("mutex", meetings, [&] {
        for (int i = 0; i < meetings / 2; i++) {
            once();
        }
    });
    stop = true;
    other.join();
}

static void
ring(int n)
{
    using channel = fibers::unbuffered_channel<std::uint64_t>;
    std::vector<std::unique_ptr<channel>> chans;
    std::vector<fibers::fiber> others;

    for (int i = 0; i < n; i++) {
        chans.push_back(std::make_unique<channel>());
    }
    for (int i = 0; i + 1 < n; i++) {
        others.emplace_back([in = chans[i].get(), out = chans[i + 1].get()] {
            out->push(in->value_pop() + 1);
        });
    }
    boost::this_fiber::yield();
    double began = cpu();
    chans.front()->push(0);
    if (chans.back()->value_pop() != static_cast<std::uint64_t>(n) - 1) {
        std::abort();
    }
    std::printf("{\"library\": \"boost.fiber\", \"case\": \"ring\", "
                "\"n\": %d, \"ns\": %.1f}\n",
                n, (cpu() - began) / n);
    for (auto &other : others) {
        other.join();
    }
}

int
main(int argc, char **argv)
{
    const std::map<std::string, void (*)(int)> cases = {
        {"yield", yield}, {"spawn", spawn}, {"chan", channels},
        {"mutex", mutex}, {"ring", ring},
    };
    auto found = cases.find(argc > 1 ? argv[1] : "");

    if (found == cases.end()) {
        std::fprintf(stderr, "usage: meet CASE [N]\n");
        return 2;
    }
    found->second(argc > 2 ? std::atoi(argv[2]) : 0);
    return 0;
}
