/* Large pieces of the host's memory come from the kernel, page by page, and go back to
   it. The C library would cut them from its arenas, of which it has one for every few
   threads: caches of many sizes that come and go on any thread leave holes there that
   no other fits into, and a process that holds the same bytes grows for hours. */
#define _GNU_SOURCE
#include "pages.h"

#include <stdlib.h>
#include <sys/mman.h>

/* Below it a page's fault would cost more than a hole. */
#define LARGE ((size_t)256 << 10)

/* Kernels read vectors: a piece begins on a cache line. */
#define LINE ((size_t)64)

void *graft_pages_alloc(size_t size) {
  if (size < LARGE) return aligned_alloc(LINE, (size / LINE + 1) * LINE);
  void *data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return data == MAP_FAILED ? NULL : data;
}

void graft_pages_free(void *data, size_t size) {
  if (size < LARGE)
    free(data);
  else
    munmap(data, size);
}
