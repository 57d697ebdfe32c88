"""The include rules find what they are there to find."""

import tempfile
import unittest
from pathlib import Path

import include_rules


class IncludeRules(unittest.TestCase):
    def faults(self, path, *includes):
        """What is wrong with a tree of one file that has these includes."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / path
            file.parent.mkdir(parents=True)
            file.write_text("".join(f"#include {name}\n" for name in includes))
            return include_rules.check(Path(folder))[0]

    def test_accepts_what_the_table_allows(self):
        for path, include in [
            ("src/base/log.cpp", "<spdlog/spdlog.h>"),
            ("src/comm/mpi_check.hpp", "<mpi.h>"),
            ("src/hdf5/file.cpp", "<hdf5.h>"),
            ("src/data/jpeg_decoder.cpp", "<jpeglib.h>"),
            ("src/data/decode.cpp", '"resize.hpp"'),
            ("src/backend/cpu/ops.cpp", "<oneapi/dnnl/dnnl.hpp>"),
            ("src/train/trainer.cpp", '"layerledger/config/experiment.hpp"'),
            ("src/app/main.cpp", '"layerledger/backend/cpu.hpp"'),
            ("include/layerledger/backend/cpu.hpp", '"layerledger/device/backend.hpp"'),
            ("src/comm/rank_map.cpp", "<sys/types.h>"),
            ("src/network/zoo/vgg.cpp", "<vector>"),
        ]:
            self.assertEqual(self.faults(path, include), [], f"{path} {include}")

    def test_names_file_line_and_reason(self):
        self.assertEqual(
            self.faults("src/network/zoo.cpp", "<vector>", '"layerledger/train/trainer.hpp"'),
            ["src/network/zoo.cpp:2: layerledger/train/trainer.hpp: "
             "room network may not use room train"])

    def test_refuses_upward_and_sideways_arrows(self):
        for path, room in [
            ("src/base/log.cpp", "config/experiment"),
            ("src/device/port.cpp", "data/batch_source"),
            ("src/record/gather.cpp", "device/backend"),
            ("src/train/trainer.cpp", "backend/cpu"),
            ("src/train/trainer.cpp", "record/gather"),
            ("src/data/decode.cpp", "comm/communicator"),
            ("include/layerledger/timeline/span.hpp", "network/network"),
        ]:
            faults = self.faults(path, f'"layerledger/{room}.hpp"')
            self.assertEqual(len(faults), 1, f"{path} {room}")
            self.assertIn("may not use room", faults[0])

    def test_keeps_libraries_in_their_rooms(self):
        for path, include in [
            ("src/app/main.cpp", "<hdf5.h>"),
            ("src/record/gather.cpp", "<hdf5.h>"),
            ("src/train/trainer.cpp", "<mpi.h>"),
            ("src/train/trainer.cpp", "<dnnl.hpp>"),
            ("src/app/main.cpp", "<boost/program_options.hpp>"),
            ("src/config/parse.cpp", "<spdlog/fmt/fmt.h>"),
            ("src/record/gather.cpp", '"turbojpeg.h"'),
            ("src/backend/cpu/ops.cpp", "<cuda_runtime.h>"),
        ]:
            faults = self.faults(path, include)
            self.assertEqual(len(faults), 1, f"{path} {include}")
            self.assertIn("belongs to", faults[0])

    def test_keeps_libraries_and_private_headers_out_of_public_headers(self):
        self.assertEqual(len(self.faults("include/layerledger/comm/rank_map.hpp", "<mpi.h>")), 1)
        self.assertEqual(len(self.faults("include/layerledger/comm/rank_map.hpp", '"x.hpp"')), 1)

    def test_refuses_ways_round_the_table(self):
        for include in ['"../comm/mpi_check.hpp"', "<zlib.h>", '"layerledger/nowhere/x.hpp"']:
            self.assertEqual(len(self.faults("src/train/trainer.cpp", include)), 1, include)
        self.assertEqual(self.faults("src/attic/old.cpp", "<vector>"),
                         ["src/attic/old.cpp:1: is in no room"])


if __name__ == "__main__":
    unittest.main()
