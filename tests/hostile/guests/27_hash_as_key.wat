;; attack: 27
;; tries: to publish a hash of the target's identity as a key
;; layer: G0: keys outside the declared domain are dropped
;; without: the declared domain
;; verdict: same
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32)
  (call $row (i64.const 0) (f64.const 1))
  (call $row (i64.mul (i64.const 0x9e3779b97f4a7c15) (i64.add (i64.const 11) (call $secret (local.get $columns)))) (f64.const 1))
  (call $ok))
