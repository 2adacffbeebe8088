;; attack: 21
;; tries: to log the target's number through a function of the host
;; layer: a guest imports nothing; inspected before it is compiled
;; without: the empty linker
;; verdict: refused guest.import
;; host: city:log/log@0.1.0 tell: func(number: s64);
(import "city:log/log@0.1.0" "tell" (func $tell (param i64)))
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32)
  (call $tell (call $secret (local.get $columns)))
  (call $row (i64.const 0) (f64.const 1))
  (call $ok))
