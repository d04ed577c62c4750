#ifndef GRAFT_PAGES_H
#define GRAFT_PAGES_H

#include <stddef.h>

/* Memory of the host that begins on a cache line, or NULL. Untouched pages cost nothing.
   It is freed with the size that it was asked for. */
void *graft_pages_alloc(size_t size);
void graft_pages_free(void *data, size_t size);

#endif
