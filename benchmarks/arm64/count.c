/* QEMU user-mode plugin: says how many instructions the calling guest thread has executed, whenever it asks.
 *
 * A guest asks by the system call getppid, which nothing else here uses and which costs two instructions or so. The
 * answer is a line "MARK thread=COUNT" on stderr; two of them bracket a piece of work. Each guest thread is a host
 * thread in user mode, so a thread-local counter needs no lock.
 *
 * Debian 12's qemu-user ships no header: the part of plugin API 1 that is used is declared here.
 * https://www.qemu.org/docs/master/devel/tcg-plugins.html
 */
#include <inttypes.h>
#include <stdio.h>

#define GETPPID 173 /* arm64 */
#define EXPORTED __attribute__((visibility("default")))

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_info_t;

void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, void (*)(unsigned, void *), int flags, void *);
void qemu_plugin_register_vcpu_syscall_cb(plugin_id, void (*)(plugin_id, unsigned, int64_t, uint64_t, uint64_t,
                                                              uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                                                              uint64_t));
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);

EXPORTED int qemu_plugin_version = 1;

static __thread uint64_t executed;

static void on_execute(unsigned cpu, void *instructions)
{
  (void)cpu;
  executed += (uintptr_t)instructions;
}

static void on_translate(plugin_id id, struct qemu_plugin_tb *block)
{
  (void)id;
  qemu_plugin_register_vcpu_tb_exec_cb(block, on_execute, 0, (void *)(uintptr_t)qemu_plugin_tb_n_insns(block));
}

static void on_system_call(plugin_id id, unsigned cpu, int64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
                           uint64_t e, uint64_t f, uint64_t g, uint64_t h)
{
  (void)id, (void)cpu, (void)a, (void)b, (void)c, (void)d, (void)e, (void)f, (void)g, (void)h;
  if (number == GETPPID)
    fprintf(stderr, "MARK thread=%" PRIu64 "\n", executed);
}

EXPORTED int qemu_plugin_install(plugin_id id, const struct qemu_info_t *info, int argc, char **argv)
{
  (void)info, (void)argc, (void)argv;
  qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
  qemu_plugin_register_vcpu_syscall_cb(id, on_system_call);
  return 0;
}
