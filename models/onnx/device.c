#include "shim.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Memory that is not the host's: a GPU's, or one that is pretended. The pretended
 * device is the host's memory behind the same functions. It lets machines without a
 * GPU try everything but the provider itself: outside of runs and copies nobody may
 * touch its pages, so that a pointer that is used on the wrong side ends the process. */

typedef struct piece {
  void *data;
  size_t size;
  struct piece *next;
} piece;

struct graft_device {
  int pretended;

  /* Of CUDA's runtime. Errors are numbers, 0 is none. */
  int (*copy)(void *, size_t, const void *, size_t, size_t, size_t, int, void *);
  int (*set)(void *, size_t, int, size_t, size_t, void *);
  int (*synchronize)(void *);
  int (*host_alloc)(void **, size_t, unsigned);
  int (*host_free)(void *);
  int (*stream_free)(void *);
  int (*select)(int);
  void *stream;
  int id;

  pthread_mutex_t guard; /* of all below */
  piece *pieces;
  int open; /* the pages may be touched */
};

static char *cuda_error(int code, const char *doing) {
  if (code == 0) return NULL;
  char text[96];
  snprintf(text, sizeof text, "CUDA error %d while %s", code, doing);
  return strdup(text);
}

/* The CUDA provider has already loaded the CUDA runtime: take its functions from
 * there, so that nothing here links against CUDA. */
static char *find_cuda(graft_device *d) {
  static const char *const names[] = {"libcudart.so.12", "libcudart.so.13"};
  void *runtime = NULL;
  for (size_t i = 0; runtime == NULL && i < sizeof names / sizeof *names; i++) runtime = dlopen(names[i], RTLD_LAZY | RTLD_NOLOAD);
  if (runtime == NULL) return strdup("neither libcudart.so.12 nor libcudart.so.13 is loaded");
  int (*current)(int *) = (int (*)(int *))dlsym(runtime, "cudaGetDevice");
  int (*make)(void **, unsigned) = (int (*)(void **, unsigned))dlsym(runtime, "cudaStreamCreateWithFlags");
  d->select = (int (*)(int))dlsym(runtime, "cudaSetDevice");
  d->copy = (int (*)(void *, size_t, const void *, size_t, size_t, size_t, int, void *))dlsym(runtime, "cudaMemcpy2DAsync");
  d->set = (int (*)(void *, size_t, int, size_t, size_t, void *))dlsym(runtime, "cudaMemset2DAsync");
  d->synchronize = (int (*)(void *))dlsym(runtime, "cudaStreamSynchronize");
  d->host_alloc = (int (*)(void **, size_t, unsigned))dlsym(runtime, "cudaHostAlloc");
  d->host_free = (int (*)(void *))dlsym(runtime, "cudaFreeHost");
  d->stream_free = (int (*)(void *))dlsym(runtime, "cudaStreamDestroy");
  dlclose(runtime); /* the provider holds it */
  if (!current || !make || !d->select || !d->copy || !d->set || !d->synchronize || !d->host_alloc || !d->host_free || !d->stream_free)
    return strdup("the CUDA runtime lacks a function");
  enum { NON_BLOCKING = 1 };
  int before = 0;
  int code = current(&before);
  if (code == 0) code = d->select(d->id);
  if (code == 0) code = make(&d->stream, NON_BLOCKING);
  if (code == 0) code = d->select(before);
  return cuda_error(code, "making a stream for copies");
}

char *graft_device_open(int kind, int id, graft_device **out) {
  graft_device *d = calloc(1, sizeof *d);
  if (d == NULL) return strdup("out of memory");
  d->pretended = kind == GRAFT_PRETENDED;
  d->id = id;
  pthread_mutex_init(&d->guard, NULL);
  *out = d;
  return d->pretended ? NULL : find_cuda(d);
}

void graft_device_close(graft_device *d) {
  if (d == NULL) return;
  if (d->stream != NULL) d->stream_free(d->stream);
  pthread_mutex_destroy(&d->guard);
  free(d);
}

int graft_device_pretended(const graft_device *d) { return d->pretended; }

static size_t pages(size_t size) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  return (size / page + 1) * page;
}

char *graft_device_alloc(graft_device *d, size_t size, void **out) {
  pthread_mutex_lock(&d->guard);
  piece *p = malloc(sizeof *p);
  p->size = pages(size);
  p->data = mmap(NULL, p->size, d->open ? PROT_READ | PROT_WRITE : PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p->data == MAP_FAILED) {
    free(p);
    pthread_mutex_unlock(&d->guard);
    return strdup("out of memory");
  }
  *out = p->data;
  p->next = d->pieces;
  d->pieces = p;
  pthread_mutex_unlock(&d->guard);
  return NULL;
}

void graft_device_free(graft_device *d, void *data) {
  pthread_mutex_lock(&d->guard);
  for (piece **at = &d->pieces; *at != NULL; at = &(*at)->next) {
    piece *p = *at;
    if (p->data != data) continue;
    *at = p->next;
    munmap(p->data, p->size);
    free(p);
    break;
  }
  pthread_mutex_unlock(&d->guard);
}

void graft_device_touch(graft_device *d, int may) {
  if (d == NULL || !d->pretended) return;
  pthread_mutex_lock(&d->guard);
  d->open = may;
  for (piece *p = d->pieces; p != NULL; p = p->next) mprotect(p->data, p->size, may ? PROT_READ | PROT_WRITE : PROT_NONE);
  pthread_mutex_unlock(&d->guard);
}

char *graft_device_copy(graft_device *d, int way, void *dst, size_t dst_pitch, const void *src, size_t src_pitch,
                        size_t width, size_t rows) {
  if (!d->pretended) return cuda_error(d->copy(dst, dst_pitch, src, src_pitch, width, rows, way, d->stream), "copying");
  graft_device_touch(d, 1);
  for (size_t i = 0; i < rows; i++) memcpy((char *)dst + i * dst_pitch, (const char *)src + i * src_pitch, width);
  graft_device_touch(d, 0);
  return NULL;
}

char *graft_device_blank(graft_device *d, void *dst, size_t pitch, size_t width, size_t rows) {
  if (width == 0) return NULL;
  if (!d->pretended) return cuda_error(d->set(dst, pitch, 0, width, rows, d->stream), "clearing");
  graft_device_touch(d, 1);
  for (size_t i = 0; i < rows; i++) memset((char *)dst + i * pitch, 0, width);
  graft_device_touch(d, 0);
  return NULL;
}

char *graft_device_settle(graft_device *d) {
  return d->pretended ? NULL : cuda_error(d->synchronize(d->stream), "waiting for copies");
}

char *graft_device_pin(graft_device *d, size_t size, void **out) {
  enum { PORTABLE = 1 };
  return cuda_error(d->host_alloc(out, size, PORTABLE), "allocating memory that the GPU can read");
}

void graft_device_unpin(graft_device *d, void *data) { d->host_free(data); }

char *graft_card(int id, char *name, size_t size) {
  void *driver = dlopen("libcuda.so.1", RTLD_LAZY);
  if (driver == NULL) return strdup(dlerror());
  int (*init)(unsigned) = (int (*)(unsigned))dlsym(driver, "cuInit");
  int (*get)(int *, int) = (int (*)(int *, int))dlsym(driver, "cuDeviceGet");
  int (*name_of)(char *, int, int) = (int (*)(char *, int, int))dlsym(driver, "cuDeviceGetName");
  int device = 0, code = -1;
  if (init && get && name_of) {
    code = init(0);
    if (code == 0) code = get(&device, id);
    if (code == 0) code = name_of(name, (int)size, device);
  }
  return cuda_error(code, "asking for the card's name"); /* the driver stays loaded, as everybody keeps it */
}
