;; attack: 29
;; tries: to add sixty rows in range for one key, each of which passes a clamp
;; layer: §4.5: rows are summed first and clamped then
;; without: sum before clamp
;; verdict: bounded
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32) (local $n i32)
  (call $row (i64.const 0) (f64.const 1))
  (if (i64.ne (call $secret (local.get $columns)) (i64.const 0)) (then
    (loop $more
      (call $row (i64.const 0) (f64.const 8))
      (br_if $more (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 60))))))
  (call $ok))
