#!/bin/sh
# run_pytest.sh FILE...: pytest of the system's Python, which has HDF5's modules. Exits with 77,
# which CTest counts as skipped, where a module is missing.
for module in pytest h5py numpy pandas matplotlib; do
    if ! /usr/bin/python3 -c "import $module" 2>/dev/null; then
        echo "skipped: /usr/bin/python3 has no $module (apt-get install python3-$module)"
        exit 77
    fi
done
exec /usr/bin/python3 -B -m pytest -q -p no:cacheprovider "$@"
