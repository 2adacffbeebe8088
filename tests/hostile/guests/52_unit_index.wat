;; attack: 52
;; tries: to count the units before the target, and so whether one person is there
;; layer: §4.2, §4.3: a fresh instance knows no index; roster semantics
;; without: fresh instances
;; verdict: same
;; secret: presence
(global $seen (mut i64) (i64.const 0))
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32)
  (if (i64.eq (call $id (local.get $columns)) (i64.const 7))
    (then (call $row (i64.const 0) (f64.convert_i64_s (i64.add (i64.const 1) (global.get $seen)))))
    (else (call $row (i64.const 1) (f64.const 0))))
  (global.set $seen (i64.add (global.get $seen) (i64.const 1)))
  (call $ok))
