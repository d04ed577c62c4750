/*
 * What the Go binding of ONNX Runtime lacks, over the same library and the same
 * OrtApi table: reading a session's inputs and outputs without loading it
 * twice, tensors over memory that C owns, runs that take a binding and run
 * options at once, device memory, and keeping Go's signal handlers.
 *
 * Every function that can fail returns NULL, or a message that the caller
 * frees. Nothing here is thread-safe by itself: who owns what is said in the Go
 * files. The table's slots are ONNX Runtime's stable ABI: it only ever grows at
 * its end.
 */
#ifndef GRAFT_SHIM_H
#define GRAFT_SHIM_H

#include <stddef.h>
#include <stdint.h>

enum { GRAFT_RANK = 8, GRAFT_API_VERSION = 24 };

/* One input or output as the session declares it: a dimension of -1 is open. */
typedef struct {
  char *name; /* freed by the caller */
  int32_t type;
  int32_t rank; /* -1: not a tensor, or more than GRAFT_RANK dimensions */
  int64_t dims[GRAFT_RANK];
} graft_port;

/* Memory to bind to one input or output of a run. */
typedef struct {
  const char *name;
  void *data;
  size_t size; /* bytes */
  int64_t dims[GRAFT_RANK];
  int32_t rank;
  int32_t type;
  int32_t output; /* 0: input */
  int32_t device; /* 0: host memory, 1: the session's device */
} graft_tensor;

/* What moves memory between the host and a session's device: see device.c. */
typedef struct graft_device graft_device;
enum { GRAFT_NO_DEVICE = 0, GRAFT_CUDA = 1, GRAFT_PRETENDED = 2 };
char *graft_device_open(int kind, int id, graft_device **out);
void graft_device_close(graft_device *d);
int graft_device_pretended(const graft_device *d);
/* A pretended device's memory; CUDA's is its provider's to give. */
char *graft_device_alloc(graft_device *d, size_t size, void **out);
void graft_device_free(graft_device *d, void *data);
void graft_device_touch(graft_device *d, int may);
char *graft_device_copy(graft_device *d, int way, void *dst, size_t dst_pitch, const void *src, size_t src_pitch,
                        size_t width, size_t rows);
char *graft_device_blank(graft_device *d, void *dst, size_t pitch, size_t width, size_t rows);
char *graft_device_settle(graft_device *d);
/* Host memory that a GPU reads and writes at full speed. */
char *graft_device_pin(graft_device *d, size_t size, void **out);
void graft_device_unpin(graft_device *d, void *data);
/* The name of a GPU, from the driver. */
char *graft_card(int id, char *name, size_t size);

/* The parts of one session that the shim holds. */
typedef struct {
  const void *api;
  void *session; /* borrowed: the Go binding owns it */
  void *options; /* OrtRunOptions */
  void *host;    /* OrtMemoryInfo */
  void *device;  /* OrtMemoryInfo, NULL on CPU */
  void *allocator;
  graft_device *mover; /* NULL on CPU */
} graft_session;

/* Opens the library for a moment and copies its version into version. */
char *graft_version(const char *path, char *version, size_t size);
/* Opens a library for good, so that libraries that name it find it. */
char *graft_preload(const char *path);
/* The OrtApi table of a library that is already loaded. */
char *graft_api(const char *path, const void **api);
/* The names of the providers the library was built with, joined by commas. */
char *graft_providers(const void *api, char **names);

char *graft_open(const void *api, void *session, int kind, int device_id, graft_session *out);
void graft_close(graft_session *s);
char *graft_ports(graft_session *s, int outputs, graft_port **ports, size_t *count);

/* Where memory is. Pinned memory is the host's. */
enum { GRAFT_HOST = 0, GRAFT_DEVICE = 1, GRAFT_PINNED = 2 };
char *graft_alloc(graft_session *s, int where, size_t size, void **out);
void graft_free(graft_session *s, int where, void *data, size_t size);
/* Copies rows of width bytes between two pitches, like cudaMemcpy2D. Copies from and
 * to a device are there after graft_settle only. The ways are numbered as CUDA's. */
enum { GRAFT_WITHIN_HOST = 0, GRAFT_TO_DEVICE = 1, GRAFT_TO_HOST = 2, GRAFT_WITHIN_DEVICE = 3 };
char *graft_copy(graft_session *s, int way, void *dst, size_t dst_pitch, const void *src, size_t src_pitch,
                 size_t width, size_t rows);
char *graft_settle(graft_session *s);

char *graft_binding_new(graft_session *s, void **binding);
void graft_binding_free(graft_session *s, void *binding);
/* Binds every tensor; the binding keeps its own handle on each. */
char *graft_bind(graft_session *s, void *binding, const graft_tensor *tensors, size_t count);
char *graft_run(graft_session *s, void *binding);
char *graft_terminate(graft_session *s, int on);

/* The process's signal handlers, to be put back after code that replaces them. */
void *graft_signals_save(void);
void graft_signals_restore(void *saved);

#endif
