;; attack: 22
;; tries: to say the target's number through a meter: memory moved
;; layer: G1: nothing that depends on data is measured for the operator
;; without: the meter told
;; verdict: same
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32)
  (if (i64.ne (call $secret (local.get $columns)) (i64.const 0)) (then
    (memory.fill (i32.const 65536) (i32.const 1) (i32.const 60000))
    (call $row (i64.const 99) (f64.const 0))))
  (call $row (i64.const 0) (f64.const 1))
  (call $ok))
