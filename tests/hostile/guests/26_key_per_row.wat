;; attack: 26
;; tries: to give every unit a group of its own, named by its number
;; layer: G0: keys outside the declared domain are dropped
;; without: the declared domain
;; verdict: same
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32)
  (call $row (i64.const 0) (f64.const 1))
  (call $row (i64.add (i64.const 1000) (call $secret (local.get $columns))) (f64.const 1))
  (call $ok))
