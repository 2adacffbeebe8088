;; attack: 18
;; tries: to say the target's number by how long it works
;; layer: §4.6, §4.7: price and tick come from the contract; the fuel used stays in the child
;; without: the meter told
;; verdict: same
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32) (local $n i64)
  (local.set $n (i64.mul (i64.const 10000) (call $secret (local.get $columns))))
  (block $done (loop $work
    (br_if $done (i64.eqz (local.get $n)))
    (local.set $n (i64.sub (local.get $n) (i64.const 1)))
    (br $work)))
  (call $row (i64.const 0) (f64.const 1))
  (call $ok))
