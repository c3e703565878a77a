# The RViz panel of rviz_panel/, where RViz is installed. ROS 2 from PyPI has none.
find_package(rviz_common QUIET)
if(NOT rviz_common_FOUND)
  message(STATUS "${PROJECT_NAME}: there is no rviz_common, so the RViz panel is left out")
  return()
endif()
find_package(diagnostic_msgs REQUIRED)
find_package(pluginlib REQUIRED)
find_package(Qt5 REQUIRED COMPONENTS Widgets)
find_package(rcl_interfaces REQUIRED)
find_package(rclcpp REQUIRED)
find_package(std_srvs REQUIRED)
rosidl_get_typesupport_target(interfaces ${PROJECT_NAME} rosidl_typesupport_cpp)

# What is known and shown, without Qt and ROS; the widget around it; the widget in RViz; and the
# widget in a window of its own.
add_library(medal_panel STATIC
  rviz_panel/health.cpp rviz_panel/model.cpp rviz_panel/requests.cpp rviz_panel/view.cpp
  rviz_panel/words.cpp)
add_library(medal_widget STATIC
  rviz_panel/graph.cpp rviz_panel/trace.cpp rviz_panel/widget.cpp)
target_link_libraries(medal_widget PUBLIC
  medal_panel Qt5::Widgets rclcpp::rclcpp "${interfaces}" ${diagnostic_msgs_TARGETS}
  ${rcl_interfaces_TARGETS} ${std_msgs_TARGETS} ${std_srvs_TARGETS})
add_library(medal_rviz_panel SHARED rviz_panel/panel.cpp)
target_link_libraries(medal_rviz_panel PRIVATE
  medal_widget pluginlib::pluginlib rviz_common::rviz_common)
add_executable(medal_window rviz_panel/window.cpp)
set_target_properties(medal_window PROPERTIES OUTPUT_NAME panel)
target_link_libraries(medal_window PRIVATE medal_widget)
foreach(target medal_panel medal_widget medal_rviz_panel medal_window)
  target_compile_features(${target} PUBLIC cxx_std_17)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic)
  set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON)
endforeach()
install(TARGETS medal_rviz_panel DESTINATION lib)
install(TARGETS medal_window DESTINATION lib/${PROJECT_NAME})
pluginlib_export_plugin_description_file(rviz_common rviz_panel/plugin.xml)

if(BUILD_TESTING)
  find_package(ament_cmake_gtest REQUIRED)
  find_package(Qt5 REQUIRED COMPONENTS Test)
  ament_add_gtest(panel_logic rviz_panel/test/test_health.cpp rviz_panel/test/test_model.cpp
    rviz_panel/test/test_requests.cpp rviz_panel/test/test_words.cpp)
  target_link_libraries(panel_logic medal_panel)
  target_include_directories(panel_logic PRIVATE rviz_panel)
  # test/test_panel.py starts it beside a graph.
  add_executable(panel_drive rviz_panel/test/drive.cpp)
  target_link_libraries(panel_drive PRIVATE medal_widget Qt5::Test)
  target_include_directories(panel_drive PRIVATE rviz_panel)
endif()
