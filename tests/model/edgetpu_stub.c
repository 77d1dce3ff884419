/* Stands in for libedgetpu.so.1: a TFLite delegate that takes every edgetpu-custom-op and fills its outputs with zeros.
 *
 * STUB_EDGETPU says what it does instead: "absent" finds no device and gives no reason, "crash" and "hang" do so while
 * the device opens, "crash-inference" later, "refuse" leaves the operators alone, "mismatch" and "newer" fail as a
 * library that does not fit the runtime or the model, "noise" makes every output 100.
 *
 * The structures are the head of TFLite's C interface, as far as it is used here; they only ever grow at their end.
 * https://ai.google.dev/edge/litert
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXPORTED __attribute__((visibility("default")))

typedef struct { int size; int data[]; } IntArray;
typedef struct {
  int type;
  char *data;
  IntArray *dims;
  struct { float scale; int32_t zero_point; } params;
  int allocation_type;
  size_t bytes;
  const void *allocation;
  const char *name;
  void *delegate;
  int buffer_handle;
  char data_is_stale, is_variable;
  struct { int type; void *params; } quantization;
  void *sparsity;
  const IntArray *dims_signature;
} Tensor;
typedef struct { IntArray *inputs, *outputs; } Node;
typedef struct Context Context;
typedef struct {
  void *(*init)(Context *, const char *, size_t);
  void (*free)(Context *, void *);
  int (*prepare)(Context *, Node *);
  int (*invoke)(Context *, Node *);
  const char *(*profiling_string)(const Context *, const Node *);
  int32_t builtin_code;
  const char *custom_name;
  int version;
  void *external, *async_kernel;
  uint64_t inplace;
} Registration;
typedef struct Delegate {
  void *data;
  int (*prepare)(Context *, struct Delegate *);
  void *from_buffer, *to_buffer, *free_buffer;
  int64_t flags;
  void *opaque;
} Delegate;
struct Context {
  size_t tensors_size;
  int (*plan)(Context *, IntArray **);
  Tensor *tensors;
  void *impl;
  void *resize_tensor;
  void (*report)(Context *, const char *, ...);
  void *add_tensors;
  int (*node)(Context *, int, Node **, Registration **);
  int (*replace)(Context *, Registration, const IntArray *, Delegate *);
};

static int mode_is(const char *name)
{
  const char *mode = getenv("STUB_EDGETPU");
  return mode && !strcmp(mode, name);
}

static int prepare_node(Context *context, Node *node)
{
  (void)node;
  if (mode_is("mismatch"))
    context->report(context, "Unsupported data type in custom op handler: 0");
  if (mode_is("newer"))
    context->report(context, "Package requires runtime version (14), which is newer than this runtime version (13).");
  return mode_is("mismatch") || mode_is("newer");
}

static int invoke_node(Context *context, Node *node)
{
  if (mode_is("crash-inference"))
    abort();
  for (int i = 0; i < node->outputs->size; i++) {
    Tensor *tensor = &context->tensors[node->outputs->data[i]];
    memset(tensor->data, mode_is("noise") ? 100 : 0, tensor->bytes);
  }
  return 0;
}

static int prepare(Context *context, Delegate *delegate)
{
  IntArray *plan;
  Registration kernel = {.prepare = prepare_node, .invoke = invoke_node, .custom_name = "StubEdgeTpu", .version = 1};
  if (mode_is("refuse") || context->plan(context, &plan))
    return 0;
  IntArray *taken = calloc(1, sizeof(IntArray) + plan->size * sizeof(int));
  for (int i = 0; i < plan->size; i++) {
    Node *node;
    Registration *registration;
    context->node(context, plan->data[i], &node, &registration);
    if (registration->custom_name && !strcmp(registration->custom_name, "edgetpu-custom-op"))
      taken->data[taken->size++] = plan->data[i];
  }
  int status = context->replace(context, kernel, taken, delegate);
  free(taken);
  return status;
}

EXPORTED Delegate *tflite_plugin_create_delegate(char **keys, char **values, size_t count, void (*report)(const char *))
{
  (void)keys, (void)values, (void)count, (void)report;
  if (mode_is("crash"))
    *(volatile int *)0 = 0;
  if (mode_is("hang"))
    sleep(600);
  if (mode_is("absent"))
    return NULL;
  Delegate *delegate = calloc(1, sizeof *delegate);
  delegate->prepare = prepare;
  delegate->flags = 1; /* dynamic tensors allowed: else the runtime prepares the unknown operator before it asks us */
  return delegate;
}

EXPORTED void tflite_plugin_destroy_delegate(Delegate *delegate) { free(delegate); }
