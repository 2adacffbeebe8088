;; attack: 16
;; tries: to overflow the host's stack
;; layer: the guest's own stack has a limit; a unit that fails is its default
;; without: failures told
;; verdict: default
(func $deep (param $n i64) (result i64)
  (if (result i64) (i64.eqz (local.get $n))
    (then (i64.const 0))
    (else (i64.add (i64.const 1) (call $deep (i64.sub (local.get $n) (i64.const 1)))))))
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32)
  (call $row (i64.const 0) (f64.const 1))
  (drop (call $deep (i64.mul (i64.const 1000000000) (call $secret (local.get $columns)))))
  (call $ok))
