/* printf to the end of a string. */
#pragma once

#include <cstdarg>
#include <cstdio>
#include <string>

namespace graft::emulator {

inline void append(std::string &text, const char *format, ...) __attribute__((format(printf, 2, 3)));

inline void append(std::string &text, const char *format, ...) {
    char part[256];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(part, sizeof part, format, arguments);
    va_end(arguments);
    text += part;
}

} // namespace graft::emulator
