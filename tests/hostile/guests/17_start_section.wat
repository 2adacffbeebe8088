;; attack: 17
;; tries: to compute before the host has asked for anything: an endless start function
;; layer: §4.4: instantiation is paid from the unit's fuel
;; without: the fuel
;; verdict: default always
(func $boot (loop $ever (br $ever)))
(start $boot)
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32)
  (call $row (i64.const 0) (f64.const 1))
  (call $ok))
