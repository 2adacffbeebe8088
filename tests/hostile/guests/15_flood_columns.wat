;; attack: 15
;; tries: to flood the host with columns that all show the same few bytes
;; layer: the bytes a call may make the host take, and the columns of a frame
;; without: the limits of an answer
;; verdict: default
(memory (export "memory") 20)
(global $flood (mut i32) (i32.const 0))
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32)
  (call $row (i64.const 0) (f64.const 1))
  (global.set $flood (i32.wrap_i64 (call $secret (local.get $columns))))
  (call $ok))
(func $finish (result i32)
  (drop (call $table))
  ;; 20 000 columns of nothing: memory beyond the two columns is zero.
  (if (global.get $flood) (then
    (i32.store (i32.const 1032) (i32.const 100000))
    (i32.store (i32.const 1036) (i32.const 20000))))
  (i32.const 1024))
