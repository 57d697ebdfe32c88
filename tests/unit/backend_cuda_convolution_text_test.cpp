#include <gtest/gtest.h>

#include "convolution_descriptors.hpp"

namespace layerledger::cuda {
namespace {

TEST(ConvolutionText, NamesShapeDirectionAndPrecision) {
    const ConvolutionShape shape{.x = {128, 56, 28, 64},
                                 .y = {128, 28, 14, 256},
                                 .kernel = 3,
                                 .stride = 2,
                                 .padding = 1,
                                 .groups = 2,
                                 .type = kernels::Type::bf16,
                                 .precision = Precision::bf16};
    EXPECT_EQ(to_text(shape, Direction::weights),
              "a convolution 128x64x56x28 to 128x256x28x14, kernel 3x3, stride 2, padding 1, 2 "
              "groups, backward with respect to the weights, in bf16");
}

}  // namespace
}  // namespace layerledger::cuda
