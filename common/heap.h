// heap: how the C library's is kept small in a process that lives for months.
//
// Facts (mallopt(3), glibc 2.26 and later): each thread keeps up to 7 free pieces of each of 64 sizes up to 1,032 bytes for
// itself. They hold the pages that they lie in, malloc_trim(3) leaves them alone, and nothing but the thread's end gives
// them back.
#pragma once

void heap_init(void); // before there are threads
// As realloc(3), but for a size of 0, which frees; with 64 KiB in reserve, which are put back by a later call. For libev, which
// ends the process where it gets nothing. For one thread.
void *heap_realloc(void *old, long size);
// Gives back what is free, and what the calling thread keeps. Some 100 us: for when nothing else is to be done.
void heap_rest(void);
