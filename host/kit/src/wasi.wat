;; The part of WASI preview 1 that language runtimes call, without a system behind it. Every file descriptor but the three
;; standard streams is bad (8, EBADF); what is written to those is dropped; there are no arguments and no environment; and
;; time and random bytes are those of the policy's own interfaces. What is not called is taken out again.
(module
  (import "env" "memory" (memory 0))
  (import "portcullis:policy/clock@0.1.0" "now" (func $now (result i64)))
  (import "portcullis:policy/random@0.1.0" "bytes" (func $bytes (param i32 i32)))
  ;; Where the next list from the host goes: straight into the buffer of `random_get`.
  (global $into (mut i32) (i32.const 0))
  (func (export "cabi_import_realloc") (param i32 i32 i32 i32) (result i32) (global.get $into))

  (func (export "args_sizes_get") (param i32 i32) (result i32)
    (i32.store (local.get 0) (i32.const 0)) (i32.store (local.get 1) (i32.const 0)) (i32.const 0))
  (func (export "args_get") (param i32 i32) (result i32) (i32.const 0))
  (func (export "environ_sizes_get") (param i32 i32) (result i32)
    (i32.store (local.get 0) (i32.const 0)) (i32.store (local.get 1) (i32.const 0)) (i32.const 0))
  (func (export "environ_get") (param i32 i32) (result i32) (i32.const 0))

  ;; Milliseconds as nanoseconds, for every clock.
  (func (export "clock_time_get") (param i32 i64 i32) (result i32)
    (i64.store (local.get 2) (i64.mul (call $now) (i64.const 1000000))) (i32.const 0))
  (func (export "clock_res_get") (param i32 i32) (result i32)
    (i64.store (local.get 1) (i64.const 1000000)) (i32.const 0))

  ;; The host gives 4,096 bytes at a time. It says where it put them in two words of memory, for which the two at 16 are
  ;; borrowed: no program has anything of the host's business there, and they are put back.
  (func (export "random_get") (param $at i32) (param $len i32) (result i32)
    (local $part i32) (local $kept i64)
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $len)))
        (local.set $part (select (i32.const 4096) (local.get $len) (i32.gt_u (local.get $len) (i32.const 4096))))
        (local.set $kept (i64.load (i32.const 16)))
        (global.set $into (local.get $at))
        (call $bytes (local.get $part) (i32.const 16))
        (i64.store (i32.const 16) (local.get $kept))
        (local.set $at (i32.add (local.get $at) (local.get $part)))
        (local.set $len (i32.sub (local.get $len) (local.get $part)))
        (br $next)))
    (i32.const 0))

  ;; Standard output and error take everything.
  (func (export "fd_write") (param $fd i32) (param $list i32) (param $count i32) (param $written i32) (result i32)
    (local $sum i32)
    (if (i32.gt_u (i32.sub (local.get $fd) (i32.const 1)) (i32.const 1)) (then (return (i32.const 8))))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $count)))
        (local.set $sum (i32.add (local.get $sum) (i32.load offset=4 (local.get $list))))
        (local.set $list (i32.add (local.get $list) (i32.const 8)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next)))
    (i32.store (local.get $written) (local.get $sum))
    (i32.const 0))
  ;; A standard stream is a character device with no rights worth mentioning.
  (func (export "fd_fdstat_get") (param $fd i32) (param $at i32) (result i32)
    (if (i32.gt_u (local.get $fd) (i32.const 2)) (then (return (i32.const 8))))
    (i64.store (local.get $at) (i64.const 2))
    (i64.store offset=8 (local.get $at) (i64.const 64))
    (i64.store offset=16 (local.get $at) (i64.const 0))
    (i32.const 0))
  (func (export "fd_fdstat_set_flags") (param i32 i32) (result i32) (i32.const 0))
  (func (export "fd_prestat_get") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_prestat_dir_name") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "fd_close") (param i32) (result i32) (i32.const 8))
  (func (export "fd_read") (param i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "fd_pread") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_pwrite") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_seek") (param i32 i64 i32 i32) (result i32) (i32.const 8))
  (func (export "fd_tell") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_sync") (param i32) (result i32) (i32.const 8))
  (func (export "fd_filestat_get") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_filestat_set_size") (param i32 i64) (result i32) (i32.const 8))
  (func (export "fd_filestat_set_times") (param i32 i64 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_readdir") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (func (export "path_open") (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32) (i32.const 8))
  (func (export "path_filestat_get") (param i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_filestat_set_times") (param i32 i32 i32 i32 i64 i64 i32) (result i32) (i32.const 8))
  (func (export "path_create_directory") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_link") (param i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_readlink") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_remove_directory") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_rename") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_symlink") (param i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_unlink_file") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "sock_accept") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "sock_recv") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "sock_send") (param i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "sock_shutdown") (param i32 i32) (result i32) (i32.const 8))
  (func (export "sched_yield") (result i32) (i32.const 0))
  ;; A policy does not wait: whoever would sleep comes back at once, with no event.
  (func (export "poll_oneoff") (param i32 i32 i32 i32) (result i32)
    (i32.store (local.get 3) (i32.const 0)) (i32.const 0))
  (func (export "proc_exit") (param i32) unreachable)
  (func (export "proc_raise") (param i32) (result i32) unreachable))
