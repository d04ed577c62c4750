#include "shim.h"

#include "pages.h"

#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Slots of the OrtApi table that are used here. */
enum {
  SLOT_GET_ERROR_MESSAGE = 2,
  SLOT_SESSION_GET_INPUT_COUNT = 30,
  SLOT_SESSION_GET_OUTPUT_COUNT = 31,
  SLOT_SESSION_GET_INPUT_TYPE_INFO = 33,
  SLOT_SESSION_GET_OUTPUT_TYPE_INFO = 34,
  SLOT_SESSION_GET_INPUT_NAME = 36,
  SLOT_SESSION_GET_OUTPUT_NAME = 37,
  SLOT_CREATE_RUN_OPTIONS = 39,
  SLOT_RUN_OPTIONS_SET_TERMINATE = 46,
  SLOT_RUN_OPTIONS_UNSET_TERMINATE = 47,
  SLOT_CREATE_TENSOR_WITH_DATA = 49,
  SLOT_CAST_TYPE_INFO_TO_TENSOR_INFO = 55,
  SLOT_GET_TENSOR_ELEMENT_TYPE = 60,
  SLOT_GET_DIMENSIONS_COUNT = 61,
  SLOT_GET_DIMENSIONS = 62,
  SLOT_CREATE_MEMORY_INFO = 68,
  SLOT_CREATE_CPU_MEMORY_INFO = 69,
  SLOT_ALLOCATOR_ALLOC = 75,
  SLOT_ALLOCATOR_FREE = 76,
  SLOT_DEFAULT_ALLOCATOR = 78,
  SLOT_RELEASE_STATUS = 93,
  SLOT_RELEASE_MEMORY_INFO = 94,
  SLOT_RELEASE_VALUE = 96,
  SLOT_RELEASE_RUN_OPTIONS = 97,
  SLOT_RELEASE_TYPE_INFO = 98,
  SLOT_GET_AVAILABLE_PROVIDERS = 125,
  SLOT_RELEASE_AVAILABLE_PROVIDERS = 126,
  SLOT_CREATE_ALLOCATOR = 131,
  SLOT_RELEASE_ALLOCATOR = 132,
  SLOT_RUN_WITH_BINDING = 133,
  SLOT_CREATE_IO_BINDING = 134,
  SLOT_RELEASE_IO_BINDING = 135,
  SLOT_BIND_INPUT = 136,
  SLOT_BIND_OUTPUT = 137,
};

typedef struct {
  const void *(*get_api)(uint32_t version);
  const char *(*get_version)(void);
} api_base;

/* Every entry of the table is a function; these are their shapes. A status is
 * NULL or an error that has to be released. */
typedef void *status;
typedef const char *(*fn_message)(status);
typedef void (*fn_release)(void *);
typedef status (*fn_count)(const void *, size_t *);
typedef status (*fn_make)(void **);
typedef status (*fn_touch)(void *);
typedef status (*fn_from)(const void *, void **);
typedef status (*fn_from2)(const void *, const void *, void **);
typedef status (*fn_nth)(const void *, size_t, void **);
typedef status (*fn_name)(const void *, size_t, void *, char **);
typedef status (*fn_type)(const void *, int *);
typedef status (*fn_dims)(const void *, int64_t *, size_t);
typedef status (*fn_memory)(const char *, int, int, int, void **);
typedef status (*fn_cpu_memory)(int, int, void **);
typedef status (*fn_alloc)(void *, size_t, void **);
typedef status (*fn_free)(void *, void *);
typedef status (*fn_tensor)(const void *, void *, size_t, const int64_t *, size_t, int, void **);
typedef status (*fn_bind)(void *, const char *, const void *);
typedef status (*fn_run)(void *, const void *, const void *);
typedef status (*fn_providers)(char ***, int *);
typedef status (*fn_free_providers)(char **, int);

#define CALL(api, shape, slot) ((shape)((void *const *)(api))[slot])

static char *message(const void *api, status s) {
  if (s == NULL) return NULL;
  char *text = strdup(CALL(api, fn_message, SLOT_GET_ERROR_MESSAGE)(s));
  CALL(api, fn_release, SLOT_RELEASE_STATUS)(s);
  return text;
}

static const api_base *base_of(void *library) {
  const api_base *(*get)(void) = (const api_base *(*)(void))dlsym(library, "OrtGetApiBase");
  return get == NULL ? NULL : get();
}

char *graft_version(const char *path, char *version, size_t size) {
  void *library = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
  if (library == NULL) return strdup(dlerror());
  const api_base *base = base_of(library);
  if (base == NULL) {
    dlclose(library);
    return strdup("it is not ONNX Runtime: OrtGetApiBase is missing");
  }
  snprintf(version, size, "%s", base->get_version());
  dlclose(library);
  return NULL;
}

char *graft_preload(const char *path) {
  return dlopen(path, RTLD_LAZY | RTLD_GLOBAL) == NULL ? strdup(dlerror()) : NULL;
}

char *graft_api(const char *path, const void **api) {
  void *library = dlopen(path, RTLD_LAZY | RTLD_NOLOAD);
  if (library == NULL) return strdup("the library is not loaded");
  const api_base *base = base_of(library);
  *api = base == NULL ? NULL : base->get_api(GRAFT_API_VERSION);
  dlclose(library); /* undoes this dlopen only: the Go binding holds its own */
  return *api == NULL ? strdup("the library does not offer the API version that is needed") : NULL;
}

char *graft_providers(const void *api, char **names) {
  char **list = NULL;
  int count = 0;
  char *err = message(api, CALL(api, fn_providers, SLOT_GET_AVAILABLE_PROVIDERS)(&list, &count));
  if (err != NULL) return err;
  size_t size = 1;
  for (int i = 0; i < count; i++) size += strlen(list[i]) + 1;
  char *joined = calloc(size, 1);
  for (int i = 0; i < count; i++) {
    if (i > 0) strcat(joined, ",");
    strcat(joined, list[i]);
  }
  *names = joined;
  return message(api, CALL(api, fn_free_providers, SLOT_RELEASE_AVAILABLE_PROVIDERS)(list, count));
}

char *graft_open(const void *api, void *session, int kind, int device_id, graft_session *out) {
  enum { DEVICE_ALLOCATOR = 0, ARENA_ALLOCATOR = 1, MEMORY_DEFAULT = 0 };
  memset(out, 0, sizeof *out);
  out->api = api;
  out->session = session;
  char *err = message(api, CALL(api, fn_make, SLOT_CREATE_RUN_OPTIONS)(&out->options));
  if (err == NULL)
    err = message(api, CALL(api, fn_cpu_memory, SLOT_CREATE_CPU_MEMORY_INFO)(DEVICE_ALLOCATOR, MEMORY_DEFAULT, &out->host));
  if (err == NULL && kind != GRAFT_NO_DEVICE) err = graft_device_open(kind, device_id, &out->mover);
  if (err == NULL && kind == GRAFT_PRETENDED)
    err = message(api, CALL(api, fn_cpu_memory, SLOT_CREATE_CPU_MEMORY_INFO)(DEVICE_ALLOCATOR, MEMORY_DEFAULT, &out->device));
  if (err == NULL && kind == GRAFT_CUDA) {
    err = message(api, CALL(api, fn_memory, SLOT_CREATE_MEMORY_INFO)("Cuda", ARENA_ALLOCATOR, device_id, MEMORY_DEFAULT, &out->device));
    if (err == NULL)
      err = message(api, CALL(api, fn_from2, SLOT_CREATE_ALLOCATOR)(session, out->device, &out->allocator));
  }
  if (err != NULL) graft_close(out);
  return err;
}

void graft_close(graft_session *s) {
  if (s->allocator != NULL) CALL(s->api, fn_release, SLOT_RELEASE_ALLOCATOR)(s->allocator);
  if (s->device != NULL) CALL(s->api, fn_release, SLOT_RELEASE_MEMORY_INFO)(s->device);
  if (s->host != NULL) CALL(s->api, fn_release, SLOT_RELEASE_MEMORY_INFO)(s->host);
  if (s->options != NULL) CALL(s->api, fn_release, SLOT_RELEASE_RUN_OPTIONS)(s->options);
  graft_device_close(s->mover);
  memset(s, 0, sizeof *s);
}

static char *read_port(graft_session *s, int outputs, size_t i, graft_port *port) {
  const void *api = s->api;
  void *allocator = NULL, *info = NULL;
  char *name = NULL;
  char *err = message(api, CALL(api, fn_make, SLOT_DEFAULT_ALLOCATOR)(&allocator));
  if (err != NULL) return err;
  int slot = outputs ? SLOT_SESSION_GET_OUTPUT_NAME : SLOT_SESSION_GET_INPUT_NAME;
  err = message(api, CALL(api, fn_name, slot)(s->session, i, allocator, &name));
  if (err != NULL) return err;
  port->name = strdup(name);
  port->rank = -1;
  err = message(api, CALL(api, fn_free, SLOT_ALLOCATOR_FREE)(allocator, name));
  if (err != NULL) return err;
  slot = outputs ? SLOT_SESSION_GET_OUTPUT_TYPE_INFO : SLOT_SESSION_GET_INPUT_TYPE_INFO;
  err = message(api, CALL(api, fn_nth, slot)(s->session, i, &info));
  if (err != NULL) return err;
  void *tensor = NULL;
  size_t rank = 0;
  int type = 0;
  err = message(api, CALL(api, fn_from, SLOT_CAST_TYPE_INFO_TO_TENSOR_INFO)(info, &tensor));
  if (err == NULL && tensor != NULL) {
    err = message(api, CALL(api, fn_type, SLOT_GET_TENSOR_ELEMENT_TYPE)(tensor, &type));
    if (err == NULL) err = message(api, CALL(api, fn_count, SLOT_GET_DIMENSIONS_COUNT)(tensor, &rank));
    if (err == NULL && rank <= GRAFT_RANK) {
      port->type = type;
      port->rank = (int32_t)rank;
      err = message(api, CALL(api, fn_dims, SLOT_GET_DIMENSIONS)(tensor, port->dims, rank));
    }
  }
  CALL(api, fn_release, SLOT_RELEASE_TYPE_INFO)(info);
  return err;
}

char *graft_ports(graft_session *s, int outputs, graft_port **ports, size_t *count) {
  int slot = outputs ? SLOT_SESSION_GET_OUTPUT_COUNT : SLOT_SESSION_GET_INPUT_COUNT;
  char *err = message(s->api, CALL(s->api, fn_count, slot)(s->session, count));
  if (err != NULL) return err;
  *ports = calloc(*count + 1, sizeof **ports);
  for (size_t i = 0; i < *count; i++) {
    err = read_port(s, outputs, i, &(*ports)[i]);
    if (err != NULL) return err;
  }
  return NULL;
}

char *graft_alloc(graft_session *s, int where, size_t size, void **out) {
  int pretended = s->mover != NULL && graft_device_pretended(s->mover);
  if (where == GRAFT_DEVICE && pretended) return graft_device_alloc(s->mover, size, out);
  if (where == GRAFT_DEVICE) return message(s->api, CALL(s->api, fn_alloc, SLOT_ALLOCATOR_ALLOC)(s->allocator, size, out));
  if (where == GRAFT_PINNED && !pretended) return graft_device_pin(s->mover, size, out);
  *out = graft_pages_alloc(size);
  return *out == NULL ? strdup("out of memory") : NULL;
}

void graft_free(graft_session *s, int where, void *data, size_t size) {
  int pretended = s->mover != NULL && graft_device_pretended(s->mover);
  if (where == GRAFT_DEVICE && pretended)
    graft_device_free(s->mover, data);
  else if (where == GRAFT_DEVICE)
    free(message(s->api, CALL(s->api, fn_free, SLOT_ALLOCATOR_FREE)(s->allocator, data)));
  else if (where == GRAFT_PINNED && !pretended)
    graft_device_unpin(s->mover, data);
  else
    graft_pages_free(data, size);
}

char *graft_copy(graft_session *s, int way, void *dst, size_t dst_pitch, const void *src, size_t src_pitch,
                 size_t width, size_t rows) {
  if (width == 0) return NULL;
  if (way != GRAFT_WITHIN_HOST) return graft_device_copy(s->mover, way, dst, dst_pitch, src, src_pitch, width, rows);
  for (size_t i = 0; i < rows; i++) memcpy((char *)dst + i * dst_pitch, (const char *)src + i * src_pitch, width);
  return NULL;
}

char *graft_settle(graft_session *s) { return s->mover == NULL ? NULL : graft_device_settle(s->mover); }

char *graft_binding_new(graft_session *s, void **binding) {
  return message(s->api, CALL(s->api, fn_from, SLOT_CREATE_IO_BINDING)(s->session, binding));
}

void graft_binding_free(graft_session *s, void *binding) { CALL(s->api, fn_release, SLOT_RELEASE_IO_BINDING)(binding); }

char *graft_bind(graft_session *s, void *binding, const graft_tensor *tensors, size_t count) {
  const void *api = s->api;
  for (size_t i = 0; i < count; i++) {
    const graft_tensor *t = &tensors[i];
    void *value = NULL;
    char *err = message(api, CALL(api, fn_tensor, SLOT_CREATE_TENSOR_WITH_DATA)(
                                 t->device ? s->device : s->host, t->data, t->size, t->dims, (size_t)t->rank, t->type, &value));
    if (err != NULL) return err;
    err = message(api, CALL(api, fn_bind, t->output ? SLOT_BIND_OUTPUT : SLOT_BIND_INPUT)(binding, t->name, value));
    CALL(api, fn_release, SLOT_RELEASE_VALUE)(value);
    if (err != NULL) return err;
  }
  return NULL;
}

char *graft_run(graft_session *s, void *binding) {
  graft_device_touch(s->mover, 1);
  char *err = message(s->api, CALL(s->api, fn_run, SLOT_RUN_WITH_BINDING)(s->session, s->options, binding));
  graft_device_touch(s->mover, 0);
  return err;
}

char *graft_terminate(graft_session *s, int on) {
  int slot = on ? SLOT_RUN_OPTIONS_SET_TERMINATE : SLOT_RUN_OPTIONS_UNSET_TERMINATE;
  return message(s->api, CALL(s->api, fn_touch, slot)(s->options));
}

void *graft_signals_save(void) {
  struct sigaction *saved = calloc(NSIG, sizeof *saved);
  for (int i = 1; saved != NULL && i < NSIG; i++) sigaction(i, NULL, &saved[i]);
  return saved;
}

void graft_signals_restore(void *state) {
  struct sigaction *saved = state;
  for (int i = 1; saved != NULL && i < NSIG; i++) {
    struct sigaction now = {0};
    if (sigaction(i, NULL, &now) == 0 && memcmp(&now, &saved[i], sizeof now) != 0) sigaction(i, &saved[i], NULL);
  }
  free(saved);
}
