// report: one job in full, for people: what it is, where it stands, why it ended, and the last it said.
#pragma once

#include <jansson.h>

enum { REPORT_INLINE = 4096 }; // bytes of each stream to ask for with the record

// Prints the record. Of a job that failed its last lines too, as far as the record has output.
void report_print(const json_t *job);
