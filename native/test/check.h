/* The smallest test framework that does: named tests that run in order, checks that count and go on. */
#pragma once

#include <cstdio>
#include <string>

namespace test {

inline int failures = 0;

inline void check(bool right, const char *expression, const char *file, int line) {
    if (!right) {
        failures++;
        std::fprintf(stderr, "%s:%d: failed: %s\n", file, line, expression);
    }
}

inline void check_contains(const std::string &text, const std::string &part, const char *file, int line) {
    if (text.find(part) == std::string::npos) {
        failures++;
        std::fprintf(stderr, "%s:%d: \"%s\" lacks \"%s\"\n", file, line, text.c_str(), part.c_str());
    }
}

#define CHECK(expression) test::check((expression), #expression, __FILE__, __LINE__)
#define CHECK_CONTAINS(text, part) test::check_contains((text), (part), __FILE__, __LINE__)
#define RUN(name)                                                                                                                        \
    do {                                                                                                                                 \
        std::printf("%s\n", #name);                                                                                                      \
        name();                                                                                                                          \
    } while (0)

inline int result() {
    std::printf(failures == 0 ? "all checks passed\n" : "%d checks failed\n", failures);
    return failures == 0 ? 0 : 1;
}

} // namespace test
