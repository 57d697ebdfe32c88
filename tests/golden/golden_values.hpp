// Written by generate.py with PyTorch; do not edit.
#pragma once

#include <array>

namespace layerledger::golden {

inline constexpr std::array<double, 10> plain_sgd_losses{
    1.39571928,  1.23917257,  1.14127274,  1.07461818,  1.01095361,
    0.949028676, 0.894073489, 0.848356797, 0.797341622, 0.752199042};
inline constexpr std::array<double, 10> plain_momentum_losses{
    1.39571928, 1.23917257,  1.07794627,  0.921577605, 0.771597589,
    0.63761587, 0.504658263, 0.376421788, 0.244266382, 0.144334358};
inline constexpr std::array<double, 10> plain_adagrad_losses{
    1.39571928,   0.920561352, 0.629139206,  0.360271721,  0.182177118,
    0.0953971066, 0.060054829, 0.0394936339, 0.0278965246, 0.0203420305};
inline constexpr std::array<double, 10> plain_adadelta_losses{
    1.39571928,  1.23149547, 1.10967626,  1.0075378,   0.909289566,
    0.816350084, 0.73515002, 0.647722746, 0.567424267, 0.494147732};
inline constexpr std::array<double, 8> plain_gradient_norms{0.74944407,  0.115875869, 0.959524106,
                                                            0.169438333, 1.39718752,  0.233833442,
                                                            0.301648077, 0.132431944};
inline constexpr std::array<double, 8> plain_gradient_sums{
    -0.090774022, 0.0225124767,  -0.0163755463, -0.126515617,
    -1.179474,    -0.0154418467, -0.140968476,  -0.0930415819};

inline constexpr std::array<double, 10> residual_sgd_losses{
    3.8393689,  2.56043342, 1.91060642, 1.54681605, 1.36457291,
    1.27102107, 1.20551651, 1.15286982, 1.10791322, 1.06816512};
inline constexpr std::array<double, 10> residual_momentum_losses{
    3.8393689,  2.56043342, 1.73569825, 1.82156368,  2.12943626,
    2.02983074, 1.78662635, 1.34859579, 0.946133987, 0.930855249};
inline constexpr std::array<double, 10> residual_adagrad_losses{
    3.8393689,   2.53592157,  1.89838593,  1.48748611, 1.18402444,
    0.964907901, 0.812165086, 0.707495716, 0.62858354, 0.569616364};
inline constexpr std::array<double, 10> residual_adadelta_losses{
    3.8393689,  3.60443642, 3.37050945, 3.14331038, 2.9265739,
    2.72360621, 2.53378266, 2.35180952, 2.18408106, 2.0271959};
inline constexpr std::array<double, 12> residual_gradient_norms{
    0.873177155, 1.02674116,  0.732870457, 0.420901806, 0.0513047672, 1.49152699,
    1.03041591,  0.896852234, 0.860283081, 0.430669479, 4.64561041,   0.726771523};
inline constexpr std::array<double, 12> residual_gradient_sums{
    -1.48382028,  -0.23801337,   -0.00121976982, -0.286216834, -0.0609584584, -0.136918038,
    -0.171453896, -0.0790764844, 0.167515776,    -0.249793848, -2.78254963,   0.902054265};

}  // namespace layerledger::golden
