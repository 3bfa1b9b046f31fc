// print: what people read: tables of jobs, one job in full, nested figures; and records as JSON, one a line.
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "common/buffer.h"

// Whether colours may be used on stdout: a terminal, and NO_COLOR not set.
bool print_colour(void);

// As one line; on a terminal without anything that is not ASCII.
void print_json(const json_t *value);

// A table of job records, newest first as given. On a terminal commands are cut at its width.
void print_jobs(const json_t *jobs);

// Append text of others, which must not drive the terminal that shows it: control characters (U+0080 to U+009F are some, too)
// are written out but for those of `keep`, and so is all that is not ASCII where the text is no UTF-8.
void print_append_text(struct buffer *line, const char *bytes, size_t size, const char *keep);
void print_text(FILE *file, const char *text); // the same, to a file

// Append a word, or the command of a job, as a shell would take it, likewise. The command ends with a NUL.
void print_append_word(struct buffer *line, const json_t *word);
void print_append_command(struct buffer *line, const json_t *job);

// An object of objects, a value a line under its path.
void print_figures(const json_t *object);

// How a job ended, in a few words: "exit 3", "SIGKILL", "timeout"; "" for one that is not over.
void print_outcome(const json_t *job, char text[64]);

// Writes "supctl: ..." to stderr.
__attribute__((format(printf, 1, 2))) void print_error(const char *format, ...);
