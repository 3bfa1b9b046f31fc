// raw: the entry point and the system calls of a child that carries no C library, so that what is measured is
// the supervisor and not the child's own start. Without BENCH_RAW the sources build as ordinary programs.
#pragma once

#include <sys/syscall.h>

#ifdef BENCH_RAW
// On x86 a function expects its return address above an aligned stack; the kernel enters without one.
#ifdef __x86_64__
#define RAW_ALIGN __attribute__((force_align_arg_pointer))
#else
#define RAW_ALIGN
#endif
#define RAW_MAIN       \
    void _start(void); \
    RAW_ALIGN __attribute__((noreturn)) void _start(void)

static inline long raw_call(long number, long a, long b) {
#if defined(__x86_64__)
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b) : "rcx", "r11", "memory");
    return result;
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1) : "memory");
    return x0;
#else
#error "no system call is written for this machine; build without BENCH_RAW"
#endif
}
#else
#include <unistd.h>
#define RAW_MAIN int main(void)
#define raw_call(number, a, b) syscall((number), (a), (b))
#endif
