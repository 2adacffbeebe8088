;; attack: 28
;; tries: to put one unit into every group at once
;; layer: §4.5: the first L0 keys are kept
;; without: the key limit
;; verdict: bounded
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32) (local $key i64)
  (call $row (i64.const 0) (f64.const 1))
  (if (i64.ne (call $secret (local.get $columns)) (i64.const 0)) (then
    (loop $next
      (call $row (local.get $key) (f64.const 8))
      (br_if $next (i64.lt_s (local.tee $key (i64.add (local.get $key) (i64.const 1))) (i64.const 4))))))
  (call $ok))
