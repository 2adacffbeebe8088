;; attack: 24
;; tries: to write the target's number into the state that the round was handed, for the next unit or round to read
;; layer: §4.2, §4.3: the state is copied into every instance and read back from none; it comes from cleared cells alone
;; without: fresh instances
;; verdict: same
;; state: seed
(global $state (mut i32) (i32.const 0))
(func $started (param $at i32)
  (if (i32.eqz (global.get $state)) (then (global.set $state (local.get $at)))))
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32)
  (call $row (i64.const 0) (f64.convert_i32_s (i32.sub (i32.load8_u (global.get $state)) (i32.const 115))))
  (i32.store8 (global.get $state)
    (i32.add (i32.load8_u (global.get $state)) (i32.wrap_i64 (call $secret (local.get $columns)))))
  (call $ok))
