;; attack: 25
;; tries: to read on beyond its rows, where the next unit's lie in a shared buffer
;; layer: §4.3: input is copied, and holds this unit's rows alone
;; without: copied input
;; verdict: same
;; The unit before the target looks at the eight bytes after its own number.
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32) (local $n i32)
  (local.set $n (i32.add (local.get $columns) (i32.const 36)))
  (if (i32.gt_u (i32.load offset=32 (local.get $n)) (i32.mul (i32.const 8) (local.get $rows)))
    (then (call $row (i64.const 0) (f64.convert_i64_s (i64.load offset=8 (i32.load offset=28 (local.get $n)))))))
  (call $row (i64.const 0) (f64.const 1))
  (call $ok))
