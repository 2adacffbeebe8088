;; attack: 4
;; tries: to say the target's number by how many rows there are
;; layer: G2, §4.5: rows of a key become one sum
;; without: intake, reading rows
;; verdict: same
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32)
  (call $row (i64.const 0) (f64.const 1))
  (if (i64.ne (call $secret (local.get $columns)) (i64.const 0)) (then (call $row (i64.const 0) (f64.const 0))))
  (call $ok))
