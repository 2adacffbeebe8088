;; attack: 16
;; tries: to hand the host an answer that lies outside the guest's memory
;; layer: §4.4: a unit that fails is its default and changes nothing else
;; without: failures told
;; verdict: default
(global $bad (mut i32) (i32.const 0))
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32)
  (call $row (i64.const 0) (f64.const 1))
  (global.set $bad (i32.wrap_i64 (call $secret (local.get $columns))))
  (call $ok))
(func $finish (result i32) (if (result i32) (global.get $bad) (then (i32.const -4)) (else (call $table))))
