;; attack: 5
;; tries: to say a bit by which of two rows comes first
;; layer: §4.5: keys are kept in the order of the declared domain
;; without: intake, reading order
;; verdict: same
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32) (local $bit i64)
  (local.set $bit (call $secret (local.get $columns)))
  (call $row (local.get $bit) (f64.const 1))
  (call $row (i64.sub (i64.const 1) (local.get $bit)) (f64.const 1))
  (call $ok))
