;; attack: 23
;; tries: to keep the target's number in a global and say it as the next block's answer
;; layer: §4.2: a fresh instance for every block
;; without: fresh instances
;; verdict: same
;; route: B
(global $kept (mut i64) (i64.const 0))
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32)
  (call $row (i64.const 0) (f64.convert_i64_s (global.get $kept)))
  (global.set $kept (i64.add (i64.const 1) (call $in_block (local.get $columns) (local.get $rows))))
  (call $ok))
;; The target's number, wherever in the block its row is.
(func $in_block (param $columns i32) (param $rows i32) (result i64) (local $row i32)
  (loop $next
    (if (i32.lt_u (local.get $row) (local.get $rows)) (then
      (if (i64.eq (i64.load (i32.add (i32.load offset=28 (local.get $columns)) (i32.shl (local.get $row) (i32.const 3)))) (i64.const 7))
        (then (return (i64.load (i32.add (i32.load offset=64 (local.get $columns)) (i32.shl (local.get $row) (i32.const 3)))))))
      (local.set $row (i32.add (local.get $row) (i32.const 1)))
      (br $next))))
  (i64.const 0))
